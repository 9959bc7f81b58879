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
	lines, err := openLines(path, from)
	if err != nil {
		return false, err
	}
	defer lines.close()
	for {
		text, last, err := lines.next()
		if err != nil {
			return false, err
		}
		if len(text) > 0 {
			if err := use(text); err != nil {
				if last {
					return true, nil
				}
				return false, lines.at(lines.number, err)
			}
		}
		if last {
			return false, nil
		}
	}
}

// lineReader takes a file apart into lines.
type lineReader struct {
	path   string
	file   *os.File
	reader *bufio.Reader
	line   []byte
	number int // of the line that next returned, from 1
}

func openLines(path string, from int64) (*lineReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return &lineReader{path: path, file: f, reader: bufio.NewReaderSize(f, 64<<10)}, nil
}

func (l *lineReader) close() { l.file.Close() }

// next returns a line without its line break, valid until the next call. last is true
// for what comes after the last line break, which is empty in a file that ends with one.
func (l *lineReader) next() (text []byte, last bool, err error) {
	l.number++
	l.line, err = readLine(l.reader, l.line[:0])
	last = errors.Is(err, io.EOF)
	if err != nil && !last {
		return nil, false, l.at(l.number, err)
	}
	return trimLine(l.line), last, nil
}

// at says in which line an error was found.
func (l *lineReader) at(number int, err error) error {
	return fmt.Errorf("%s:%d: %w", l.path, number, err)
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
