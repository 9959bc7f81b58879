package junit_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/reports"
	"github.com/sailplan-io/sailplan/reports/junit"
)

var update = flag.Bool("update", false, "write testdata anew")

// document builds the document of a sample result of package reports.
func document(t *testing.T, name string) reports.Document {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "results", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var result analysis.Result
	if err := json.Unmarshal(data, &result); err != nil {
		t.Fatal(err)
	}
	if result.Command == "run" {
		return reports.Load(result, nil)
	}
	return reports.Sizing(result, nil)
}

func write(t *testing.T, d reports.Document) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := junit.Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// element is any XML element, so that the structure is read without the types
// that it was written with.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e element) all(name string) []element {
	var found []element
	for _, c := range e.Children {
		if c.XMLName.Local == name {
			found = append(found, c)
		}
	}
	return found
}

func TestStructure(t *testing.T) {
	type counts struct{ tests, failures, errors, skipped string }
	for name, want := range map[string]counts{
		"recommended":  {"6", "0", "0", "0"},
		"contradicted": {"6", "3", "2", "0"}, // outcome, prediction, missed above; both objectives without an answer
		"not-reached":  {"6", "0", "1", "1"},
		"infeasible":   {"3", "2", "0", "1"},
		"invalid":      {"4", "0", "3", "1"},
		"incomplete":   {"4", "0", "3", "1"},
		"empty":        {"2", "0", "1", "1"},
		"hostile":      {"6", "0", "0", "0"},
		"load-held":    {"3", "0", "0", "0"},
		"load-missed":  {"3", "2", "0", "0"},
	} {
		var root element
		data := write(t, document(t, name))
		if err := xml.Unmarshal(data, &root); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, data)
		}
		if root.XMLName.Local != "testsuites" {
			t.Errorf("%s: the root is %s", name, root.XMLName.Local)
		}
		got := counts{root.attr("tests"), root.attr("failures"), root.attr("errors"), root.attr("skipped")}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		seen := map[string]bool{}
		for _, s := range root.all("testsuite") {
			if s.attr("name") == "" || len(s.all("properties")) != 1 || len(s.all("testcase")) == 0 {
				t.Errorf("%s: suite %q lacks a name, properties or cases", name, s.attr("name"))
			}
			for _, c := range s.all("testcase") {
				key := s.attr("name") + "/" + c.attr("name")
				if c.attr("name") == "" || c.attr("classname") == "" || seen[key] {
					t.Errorf("%s: case %q is nameless or there twice", name, key)
				}
				seen[key] = true
				if n := len(c.all("failure")) + len(c.all("error")) + len(c.all("skipped")); n > 1 {
					t.Errorf("%s: case %q has %d ways of not passing", name, key, n)
				}
			}
		}
	}
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"recommended", "contradicted", "hostile", "load-missed"} {
		got := write(t, document(t, name))
		path := filepath.Join("testdata", name+".xml")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is written now (go test ./reports/junit -update):\n%s", path, got)
		}
	}
}

type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteError(t *testing.T) {
	if err := junit.Write(full{}, document(t, "recommended")); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}
