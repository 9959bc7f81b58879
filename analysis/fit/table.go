package fit

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Table is the two columns of a CSV file that a fit needs.
type Table struct {
	File string // as the user named it
	X, Y string // the names of the columns
	Rows []Row  // in the order of the file
}

// Row is one point of a table.
type Row struct {
	Line int // of the file, from 1
	X, Y float64
}

const (
	// MostBytes is the largest file that is read.
	MostBytes = 4 << 20
	// MostRows is the largest number of points: a curve that needs more is drawn
	// from raw samples, which are not independent.
	MostRows = 500
	// mostTold bounds how many errors of a file are told at once.
	mostTold = 10
	// Values beyond these are no measurements, and their squares no numbers.
	least, most = 1e-12, 1e15
)

// Columns names the columns to read. Both empty takes the columns of a file that
// has two, x first.
type Columns struct {
	X, Y string
	// ZeroX allows an X of 0: an idle system has a rate of 0, but no system has a
	// concurrency of 0.
	ZeroX bool
}

// ReadTable reads a CSV file with a header line: comma, semicolon or tab between
// the fields, which is told from the header; # begins a comment line. Every X and
// Y must be a number above 0, and no X may come twice. The errors have the form
// file:line: what, as many as there are up to ten.
func ReadTable(file string, r io.Reader, columns Columns) (Table, error) {
	data, err := io.ReadAll(io.LimitReader(r, MostBytes+1))
	if err != nil {
		return Table{}, fmt.Errorf("reading %s: %w", file, err)
	}
	if len(data) > MostBytes {
		return Table{}, fmt.Errorf("%s: larger than %d MiB: a fit takes at most %d points, one row each; average raw samples first", file, MostBytes>>20, MostRows)
	}
	data, err = text(file, data)
	if err != nil {
		return Table{}, err
	}
	reader := csv.NewReader(bytes.NewReader(data))
	reader.Comma, reader.Comment, reader.TrimLeadingSpace = separator(data), '#', true
	reader.FieldsPerRecord = -1 // told apart below, with both numbers
	header, err := reader.Read()
	switch {
	case errors.Is(err, io.EOF):
		return Table{}, fmt.Errorf("%s:1: empty: the first line has to name the columns, the others are points", file)
	case err != nil:
		return Table{}, syntax(file, err)
	}
	headerLine, _ := reader.FieldPos(0)
	x, y, err := columns.find(header)
	if err != nil {
		return Table{}, fmt.Errorf("%s:%d: %w", file, headerLine, err)
	}
	for _, name := range []string{header[x], header[y]} {
		if strings.ContainsFunc(name, unicode.IsControl) {
			return Table{}, fmt.Errorf("%s:%d: the column %s has a control character in its name", file, headerLine, shown(name))
		}
	}
	t := Table{File: file, X: strings.TrimSpace(header[x]), Y: strings.TrimSpace(header[y])}
	errs := t.read(reader, len(header), x, y, columns.ZeroX)
	if len(t.Rows) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s:%d: no points: there is nothing below the names of the columns", file, headerLine))
	}
	if len(errs) > mostTold {
		errs = append(errs[:mostTold], fmt.Errorf("%s: and %d more", file, len(errs)-mostTold))
	}
	if err := errors.Join(errs...); err != nil {
		return Table{}, err
	}
	return t, nil
}

// text refuses what is no text, and removes the mark that some programs put at
// the beginning.
func text(file string, data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return nil, fmt.Errorf("%s:1: UTF-16: save it as UTF-8", file)
	case bytes.IndexByte(data, 0) >= 0:
		line := 1 + bytes.Count(data[:bytes.IndexByte(data, 0)], []byte{'\n'})
		return nil, fmt.Errorf("%s:%d: a zero byte: this is no CSV file", file, line)
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), nil
}

// separator tells it from the first line that is no comment: the one of comma,
// semicolon and tab that is there most often.
func separator(data []byte) rune {
	header := ""
	for line := range strings.Lines(string(data)) {
		if header = line; !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "" {
			break
		}
	}
	best := ','
	for _, candidate := range []rune{';', '\t'} {
		if strings.Count(header, string(candidate)) > strings.Count(header, string(best)) {
			best = candidate
		}
	}
	return best
}

func syntax(file string, err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%s:%d:%d: %w", file, parse.Line, parse.Column, parse.Err)
	}
	return fmt.Errorf("reading %s: %w", file, err)
}

// find returns the places of the columns in the header.
func (c Columns) find(header []string) (x, y int, err error) {
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = strings.TrimSpace(name)
	}
	if c.X == "" && c.Y == "" && len(names) == 2 {
		return 0, 1, nil
	}
	place := func(flag, name string) (int, error) {
		at := slices.Index(names, name)
		switch {
		case name == "":
			return 0, fmt.Errorf("say with --%s which column it is: there are %s", flag, listed(names))
		case at < 0:
			return 0, fmt.Errorf("no column %q for --%s: there are %s%s", name, flag, listed(names), headerHint(names))
		case slices.Index(names[at+1:], name) >= 0:
			return 0, fmt.Errorf("two columns are called %q: rename one", name)
		}
		return at, nil
	}
	x, errX := place("x", c.X)
	y, errY := place("y", c.Y)
	switch {
	case errX != nil && errY != nil:
		return 0, 0, fmt.Errorf("%w; %w", errX, errY)
	case errX != nil || errY != nil:
		return 0, 0, errors.Join(errX, errY)
	}
	if x == y {
		return 0, 0, fmt.Errorf("--x and --y name the same column, %q", c.X)
	}
	return x, y, nil
}

func listed(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = shown(name)
	}
	return strings.Join(quoted, ", ")
}

// headerHint says what is likely wrong when the names are numbers.
func headerHint(names []string) string {
	for _, name := range names {
		if _, err := strconv.ParseFloat(name, 64); err == nil {
			return "; the first line has to name the columns"
		}
	}
	return ""
}

// read reads the points and returns everything that is wrong with them.
func (t *Table) read(reader *csv.Reader, width, x, y int, zeroX bool) []error {
	var errs []error
	seen := map[float64]int{}
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return errs
		}
		if err != nil {
			return append(errs, syntax(t.File, err)) // what follows would be guesses
		}
		line, _ := reader.FieldPos(0)
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s:%d: "+format, append([]any{t.File, line}, args...)...))
		}
		if len(fields) != width {
			fail("%s, the first line has %d", fieldCount(len(fields)), width)
			continue
		}
		row := Row{Line: line}
		var errX, errY error
		row.X, errX = value(t.X, fields[x], zeroX)
		row.Y, errY = value(t.Y, fields[y], false)
		for _, err := range []error{errX, errY} {
			if err != nil {
				fail("%w", err)
			}
		}
		if errX != nil || errY != nil {
			continue
		}
		if first, ok := seen[row.X]; ok {
			fail("%s is %s again, as in line %d: average the rows of one %s into one, or fit each run from a file of its own",
				t.X, strings.TrimSpace(fields[x]), first, t.X)
			continue
		}
		seen[row.X] = line
		t.Rows = append(t.Rows, row)
		if len(t.Rows) > MostRows {
			fail("more than %d points: average raw samples first", MostRows)
			return errs
		}
	}
}

func fieldCount(n int) string {
	if n == 1 {
		return "one field"
	}
	return strconv.Itoa(n) + " fields"
}

// value reads one cell.
func value(column, cell string, zero bool) (float64, error) {
	cell = strings.TrimSpace(cell)
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case cell == "":
		return 0, fmt.Errorf("%s is empty", column)
	case errors.Is(err, strconv.ErrRange), math.IsInf(v, 0):
		return 0, fmt.Errorf("%s is %s: too large for a measurement", column, shown(cell))
	case err != nil && strings.Contains(cell, ","):
		return 0, fmt.Errorf("%s is %s: not a number; write it with a point and without separators of thousands", column, shown(cell))
	case err != nil:
		return 0, fmt.Errorf("%s is %s: not a number", column, shown(cell))
	case math.IsNaN(v):
		return 0, fmt.Errorf("%s is %s: not a number that could be fitted; leave the row out", column, shown(cell))
	case v == 0 && zero:
		return 0, nil
	case v == 0:
		return 0, fmt.Errorf("%s is 0: it has to be above 0", column)
	case v < 0:
		return 0, fmt.Errorf("%s is %s: it has to be above 0", column, shown(cell))
	case v < least:
		return 0, fmt.Errorf("%s is %s: too small for a measurement", column, shown(cell))
	case v > most:
		return 0, fmt.Errorf("%s is %s: too large for a measurement", column, shown(cell))
	}
	return v, nil
}

// shown quotes a cell, cut short when it is long.
func shown(cell string) string {
	const longest = 40
	if runes := []rune(cell); len(runes) > longest {
		cell = string(runes[:longest]) + "…"
	}
	return strconv.Quote(cell)
}
