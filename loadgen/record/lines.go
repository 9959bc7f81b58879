package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine bounds one line of a file.
const maxLine = 16 << 20

// eachLine hands the lines of a file to use, without their line breaks and
// without empty ones; the text is valid until use returns. An error of use gets
// the file and the line. A last line without a line break is what a killed
// process leaves: if use refuses it, that is no error, and torn is true.
func eachLine(path string, use func(text []byte) error) (torn bool, err error) {
	return eachLineFrom(path, 0, use)
}

// eachLineFrom is eachLine from an offset in bytes on, where a line begins. The
// lines are counted from there.
func eachLineFrom(path string, from int64, use func(text []byte) error) (torn bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return false, err
	}
	reader := bufio.NewReaderSize(f, 64<<10)
	var line []byte
	for number := 1; ; number++ {
		line, err = readLine(reader, line[:0])
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return false, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if text := trimLine(line); len(text) > 0 {
			if err := use(text); err != nil {
				if ended {
					return true, nil
				}
				return false, fmt.Errorf("%s:%d: %w", path, number, err)
			}
		}
		if ended {
			return false, nil
		}
	}
}

// readLine appends one line with its line break to dst.
func readLine(reader *bufio.Reader, dst []byte) ([]byte, error) {
	for {
		part, err := reader.ReadSlice('\n')
		dst = append(dst, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return dst, err
		}
		if len(dst) > maxLine {
			return dst, fmt.Errorf("the line is longer than %d bytes", maxLine)
		}
	}
}

func trimLine(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}
