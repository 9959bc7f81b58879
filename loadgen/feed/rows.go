package feed

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// maxRow bounds one row of a file, in bytes.
const maxRow = 1 << 20

// rows reads a file row by row.
type rows interface {
	// next reads a row. It returns io.EOF behind the last one; other errors say
	// what is wrong with the row at line.
	next() error
	// line is that of the row that was read last, from 1.
	line() int
	// value returns the value of a wanted column, by its index, of the row that was
	// read last; valid until the next call of next or value.
	value(column int) ([]byte, error)
}

// newRows reads CSV or JSON Lines, as the file's name says. columns are the names
// of those that are wanted.
func newRows(name string, r io.Reader, columns []string) (rows, error) {
	if filepath.Ext(name) == ".csv" {
		return newCSV(r, columns)
	}
	return &jsonLines{reader: withoutMark(bufio.NewReaderSize(r, 64<<10)), columns: columns}, nil
}

// withoutMark drops the byte order mark that some programs write first.
func withoutMark(r *bufio.Reader) *bufio.Reader {
	if mark, err := r.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		r.Discard(len(mark)) // they are in its buffer
	}
	return r
}

// rowError is what is wrong with a row.
type rowError struct {
	line int
	err  error
}

func (e *rowError) Error() string { return e.err.Error() }
func (e *rowError) Unwrap() error { return e.err }

// csvRows are the rows of a CSV file, below its header line.
type csvRows struct {
	reader *csv.Reader
	budget *budget
	index  []int // of each wanted column
	row    []string
	at     int // line of row
	text   []byte
}

// budget ends a row that has no end, such as one with a quote that is never
// closed.
type budget struct {
	r    io.Reader
	left int
}

var errLongRow = fmt.Errorf("the row has more than %d bytes; is a quote not closed?", maxRow)

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLongRow
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

func newCSV(r io.Reader, columns []string) (*csvRows, error) {
	c := &csvRows{at: 1, budget: &budget{r: withoutMark(bufio.NewReaderSize(r, 64<<10)), left: maxRow}}
	c.reader = csv.NewReader(c.budget)
	c.reader.ReuseRecord = true
	header, err := c.reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, &rowError{1, errors.New("the header line is missing")}
	}
	if err != nil {
		return nil, csvError(err, 1)
	}
	for i, name := range header {
		if slices.Contains(header[:i], name) {
			return nil, &rowError{1, fmt.Errorf("two columns are called %q", name)}
		}
	}
	for _, name := range columns {
		i := slices.Index(header, name)
		if i < 0 {
			return nil, &rowError{1, fmt.Errorf("there is no column %q", name)}
		}
		c.index = append(c.index, i)
	}
	return c, nil
}

// csvError gives an error of the CSV reader its line, which is guess when it has
// none of its own.
func csvError(err error, guess int) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return &rowError{parse.Line, parse.Err}
	}
	return &rowError{guess, err}
}

func (c *csvRows) next() error {
	c.budget.left = maxRow
	row, err := c.reader.Read()
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return csvError(err, c.at+1)
	}
	c.row = row
	c.at, _ = c.reader.FieldPos(0)
	return nil
}

func (c *csvRows) line() int { return c.at }

func (c *csvRows) value(column int) ([]byte, error) {
	c.text = append(c.text[:0], c.row[c.index[column]]...)
	return c.text, nil
}

// jsonLines are the rows of a JSON Lines file.
type jsonLines struct {
	reader  *bufio.Reader
	columns []string
	number  int
	text    []byte
	row     map[string]json.RawMessage
}

func (j *jsonLines) next() error {
	for {
		ended, err := j.read()
		if err != nil {
			return &rowError{j.number, err}
		}
		if line := bytes.TrimSpace(j.text); len(line) > 0 {
			clear(j.row)
			if err := json.Unmarshal(line, &j.row); err != nil {
				return &rowError{j.number, fmt.Errorf("a JSON object is expected: %w", err)}
			}
			if j.row == nil {
				return &rowError{j.number, errors.New("a JSON object is expected, found null")}
			}
			return nil
		}
		if ended {
			return io.EOF
		}
	}
}

// read reads a line into text.
func (j *jsonLines) read() (ended bool, err error) {
	j.text, j.number = j.text[:0], j.number+1
	for {
		part, err := j.reader.ReadSlice('\n')
		j.text = append(j.text, part...)
		switch {
		case len(j.text) > maxRow:
			return false, errLongRow
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return true, nil
		default:
			return false, err
		}
	}
}

func (j *jsonLines) line() int { return j.number }

func (j *jsonLines) value(column int) ([]byte, error) {
	raw, ok := j.row[j.columns[column]]
	if !ok {
		return nil, fmt.Errorf("there is no member %q", j.columns[column])
	}
	if raw[0] != '"' {
		return raw, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, fmt.Errorf("member %q: %w", j.columns[column], err)
	}
	return []byte(text), nil
}
