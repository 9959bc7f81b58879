package fit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func read(text string, columns Columns) (Table, error) {
	return ReadTable("data.csv", strings.NewReader(text), columns)
}

func TestReadTable(t *testing.T) {
	want := []Row{{2, 1, 20}, {3, 4, 78.5}, {4, 8, 130}}
	for _, c := range []struct {
		name    string
		text    string
		columns Columns
	}{
		{"two columns", "n,x\n1,20\n4,78.5\n8,130\n", Columns{}},
		{"named", "n,x\n1,20\n4,78.5\n8,130\n", Columns{X: "n", Y: "x"}},
		{"the other way round", "x,n\n20,1\n78.5,4\n130,8\n", Columns{X: "n", Y: "x"}},
		{"others between", "run,n,p99,x\na,1,,20\nb,4,text,78.5\nc,8,0,130\n", Columns{X: "n", Y: "x"}},
		{"byte order mark", "\ufeffn,x\n1,20\n4,78.5\n8,130\n", Columns{X: "n", Y: "x"}},
		{"lines of Windows", "n,x\r\n1,20\r\n4,78.5\r\n8,130\r\n", Columns{}},
		{"no end of the last line", "n,x\n1,20\n4,78.5\n8,130", Columns{}},
		{"semicolons", "n;x\n1;20\n4;78.5\n8;130\n", Columns{}},
		{"tabs", "n\tx\n1\t20\n4\t78.5\n8\t130\n", Columns{}},
		{"spaces and quotes", "\"n\", x \n 1, 20\n\"4\", 78.5 \n8,1.3e2\n", Columns{X: "n", Y: "x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := read(c.text, c.columns)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Rows, want) || got.X != "n" || got.Y != "x" || got.File != "data.csv" {
				t.Errorf("got %+v, want %v of n and x", got, want)
			}
		})
	}
	got, err := read("# of the night\nn,x\n\n# the first is cold\n1,20\n", Columns{})
	if err != nil || !slices.Equal(got.Rows, []Row{{5, 1, 20}}) {
		t.Errorf("comments and empty lines: got %v, %v, want line 5", got.Rows, err)
	}
	if got, err := read("rps,cores\n0,0.02\n", Columns{ZeroX: true}); err != nil || got.Rows[0].X != 0 {
		t.Errorf("an idle row: got %v, %v", got.Rows, err)
	}
}

func TestReadTableRefuses(t *testing.T) {
	named := Columns{X: "n", Y: "x"}
	for _, c := range []struct {
		name    string
		text    string
		columns Columns
		want    string // the whole error
	}{
		{"empty", "", named, "data.csv:1: empty: the first line has to name the columns, the others are points"},
		{"only a mark", "\ufeff", named, "data.csv:1: empty: the first line has to name the columns, the others are points"},
		{"only names", "n,x\n", named, "data.csv:1: no points: there is nothing below the names of the columns"},
		{"missing column", "n,y\n1,2\n", named, `data.csv:1: no column "x" for --y: there are "n", "y"`},
		{"both missing", "a,b\n1,2\n", named, `data.csv:1: no column "n" for --x: there are "a", "b"; no column "x" for --y: there are "a", "b"`},
		{"no names", "1,20\n4,78\n", named, `data.csv:1: no column "n" for --x: there are "1", "20"; the first line has to name the columns; no column "x" for --y: there are "1", "20"; the first line has to name the columns`},
		{"which of three", "a,n,x\n1,2,3\n", Columns{X: "n"}, `data.csv:1: say with --y which column it is: there are "a", "n", "x"`},
		{"the same column", "n,x\n1,2\n", Columns{X: "n", Y: "n"}, `data.csv:1: --x and --y name the same column, "n"`},
		{"two of one name", "n,x,x\n1,2,3\n", named, `data.csv:1: two columns are called "x": rename one`},
		{"text", "n,x\n1,20\n4,fast\n", named, `data.csv:3: x is "fast": not a number`},
		{"NaN", "n,x\nNaN,20\n", named, `data.csv:2: n is "NaN": not a number that could be fitted; leave the row out`},
		{"infinite", "n,x\n1,+Inf\n", named, `data.csv:2: x is "+Inf": too large for a measurement`},
		{"too large", "n,x\n1,1e999\n", named, `data.csv:2: x is "1e999": too large for a measurement`},
		{"large", "n,x\n1,1e16\n", named, `data.csv:2: x is "1e16": too large for a measurement`},
		{"small", "n,x\n1e-13,1\n", named, `data.csv:2: n is "1e-13": too small for a measurement`},
		{"zero", "n,x\n1,0\n", named, `data.csv:2: x is 0: it has to be above 0`},
		{"zero concurrency", "n,x\n0,1\n", named, `data.csv:2: n is 0: it has to be above 0`},
		{"negative", "n,x\n-1,-2\n", named, `data.csv:2: n is "-1": it has to be above 0` + "\n" + `data.csv:2: x is "-2": it has to be above 0`},
		{"empty cell", "n,x\n1,\n", named, `data.csv:2: x is empty`},
		{"decimal comma", "n;x\n1;2,5\n", named, `data.csv:2: x is "2,5": not a number; write it with a point and without separators of thousands`},
		{"thousands", "n,x\n1,\"2,500\"\n", named, `data.csv:2: x is "2,500": not a number; write it with a point and without separators of thousands`},
		{"repeated", "n,x\n1,20\n4,78\n4.0,79\n", named, `data.csv:4: n is 4.0 again, as in line 3: average the rows of one n into one, or fit each run from a file of its own`},
		{"ragged", "n,x\n1,20,3\n4\n", named, "data.csv:2: 3 fields, the first line has 2\ndata.csv:3: one field, the first line has 2"},
		{"open quote", "n,x\n1,\"20\n", named, `data.csv:2:7: extraneous or missing " in quoted-field`},
		{"zero byte", "n,x\n1,2\x00\n", named, "data.csv:2: a zero byte: this is no CSV file"},
		{"an escape sequence", "n,x\x1b[2J\n1,2\n", Columns{}, `data.csv:1: the column "x\x1b[2J" has a control character in its name`},
		{"UTF-16", "\xff\xfen\x00", named, "data.csv:1: UTF-16: save it as UTF-8"},
		{"a long cell", "n,x\n1," + strings.Repeat("z", 100) + "\n", named, `data.csv:2: x is "` + strings.Repeat("z", 40) + `…": not a number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(c.text, c.columns)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestReadTableIsBounded(t *testing.T) {
	_, err := ReadTable("data.csv", io.MultiReader(strings.NewReader("n,x\n"), endless{}), Columns{})
	if err == nil || !strings.Contains(err.Error(), "data.csv: larger than 4 MiB") {
		t.Errorf("an endless file: got %v", err)
	}
	var b bytes.Buffer
	b.WriteString("n,x\n")
	for i := range MostRows + 1 {
		fmt.Fprintf(&b, "%d,1\n", i+1)
	}
	if _, err := read(b.String(), Columns{}); err == nil || !strings.HasPrefix(err.Error(), "data.csv:502: more than 500 points") {
		t.Errorf("one row too many: got %v", err)
	}
	if got, err := read(b.String()[:b.Len()-len("501,1\n")], Columns{}); err != nil || len(got.Rows) != MostRows {
		t.Errorf("the most rows: got %d and %v", len(got.Rows), err)
	}
	_, err = read("n,x\n"+strings.Repeat("a,b\n", 50), Columns{})
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 11 || lines[10] != "data.csv: and 90 more" {
		t.Errorf("many errors: got %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	broken := errors.New("disk on fire")
	if _, err := ReadTable("data.csv", failing{broken}, Columns{}); !errors.Is(err, broken) {
		t.Errorf("a file that can't be read: got %v", err)
	}
}

// endless is a file of digits without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '1'
	}
	return len(p), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzReadTable: whatever is in a file, what is read of it can be fitted, and what
// can't be read is said with the name of the file.
func FuzzReadTable(f *testing.F) {
	for _, text := range []string{
		"n,x\n1,20\n4,78.5\n8,130\n16,200\n", "\ufeffn;x\n1;2\n", "n\tx\n1\t2\n", "# c\nn,x\n\"1\",2\n", "n,x\n1,NaN\n", "a,b,c\n1,2,3\n", "n,x\n1,\"2\n", "", "\x00",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := ReadTable("data.csv", bytes.NewReader(data), Columns{})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "data.csv:") {
				t.Fatalf("got %v, want it to begin with the file", err)
			}
			return
		}
		seen := map[float64]bool{}
		for i, row := range table.Rows {
			if !(row.X >= least) || !(row.Y >= least) || row.X > most || row.Y > most || math.IsNaN(row.X) || seen[row.X] {
				t.Fatalf("row %+v was let through", row)
			}
			if row.Line < 1 || i > 0 && row.Line <= table.Rows[i-1].Line {
				t.Fatalf("row %+v has a line out of order", row)
			}
			seen[row.X] = true
		}
	})
}
