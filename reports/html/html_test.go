package html_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	nethtml "golang.org/x/net/html"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/reports"
	"github.com/sailplan-io/sailplan/reports/html"
)

var update = flag.Bool("update", false, "write testdata anew")

var names = []string{
	"recommended", "target", "embedded", "infeasible", "contradicted", "not-reached", "invalid", "incomplete", "empty", "hostile", "load-held", "load-missed",
}

// document builds the document of a sample result of package reports, with a
// timeline of three seconds a phase.
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
	rec := &record.Record{Dir: "runs/" + name}
	for _, p := range result.Phases {
		start := time.Duration(p.StartSeconds * float64(time.Second))
		phase := record.PhaseData{Phase: record.Phase{Index: p.Index, Start: start}}
		for second := range time.Duration(3) {
			phase.Timeline = append(phase.Timeline, record.Tick{
				Phase: p.Index, At: start + (second+1)*time.Second, Answered: int64(p.OfferedRps) + int64(second),
				P50: 6 * time.Millisecond, P99: (20 + second) * time.Millisecond,
			})
		}
		rec.Data = append(rec.Data, phase)
	}
	if result.Command == "run" {
		return reports.Load(result, rec)
	}
	return reports.Sizing(result, rec)
}

func write(t *testing.T, d reports.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := html.Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// elements returns the elements of a page with a name, or all for "".
func elements(t *testing.T, page, name string) []*nethtml.Node {
	t.Helper()
	root, err := nethtml.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var found []*nethtml.Node
	for n := range root.Descendants() {
		if n.Type == nethtml.ElementNode && (name == "" || n.Data == name) {
			found = append(found, n)
		}
	}
	return found
}

func attr(n *nethtml.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *nethtml.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == nethtml.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

// TestGolden compares what the page says: all of it but style, script and data.
func TestGolden(t *testing.T) {
	for _, name := range names {
		page := write(t, document(t, name))
		_, got, _ := strings.Cut(page, "<body>")
		got, _, _ = strings.Cut(got, "</main>")
		path := filepath.Join("testdata", name+".html")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from what is written now (go test ./reports/html -update)", path)
		}
	}
}

// TestSelfContained checks that a page asks nobody for anything.
func TestSelfContained(t *testing.T) {
	for _, name := range names {
		for _, n := range elements(t, write(t, document(t, name)), "") {
			switch n.Data {
			case "img", "iframe", "object", "embed", "base", "form", "svg", "video", "audio":
				t.Errorf("%s: there is a %s", name, n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case a.Key == "src", a.Key == "srcset", strings.HasPrefix(a.Key, "on"):
					t.Errorf("%s: %s has %s=%q", name, n.Data, a.Key, a.Val)
				case a.Key == "href" && !strings.HasPrefix(a.Val, "#") && a.Val != "data:,":
					t.Errorf("%s: %s links to %q", name, n.Data, a.Val)
				}
			}
		}
	}
}

// TestHostileNames counts the elements: names must not add any to them.
func TestHostileNames(t *testing.T) {
	count := func(name string) map[string]int {
		counts := map[string]int{}
		for _, n := range elements(t, write(t, document(t, name)), "") {
			counts[n.Data]++
		}
		return counts
	}
	tame, wild := count("recommended"), count("hostile")
	for element := range wild {
		if tame[element] == 0 {
			t.Errorf("a hostile name made a %s", element)
		}
	}
	if wild["script"] != tame["script"] {
		t.Errorf("%d scripts, want %d", wild["script"], tame["script"])
	}
	var data []map[string]any
	for _, n := range elements(t, write(t, document(t, "hostile")), "script") {
		if attr(n, "id") == "charts" {
			if err := json.Unmarshal([]byte(text(n)), &data); err != nil {
				t.Fatalf("the charts' data: %v", err)
			}
		}
	}
	if len(data) == 0 {
		t.Error("there are no charts")
	}
}

func TestFirstLineAndTables(t *testing.T) {
	page := write(t, document(t, "recommended"))
	evidence := elements(t, page, "p")[0]
	if got, want := text(evidence), "Evidence: lab, real Envoy 1.40.0 on this machine. CPU and memory limits enforced."; got != want {
		t.Errorf("the page begins with %q, want %q", got, want)
	}
	for _, table := range elements(t, page, "table") {
		if table.FirstChild == nil || table.FirstChild.Data != "caption" {
			t.Error("a table has no caption")
		}
	}
	for _, figure := range elements(t, page, "figure") {
		if !strings.Contains(attr(figure.FirstChild.NextSibling, "aria-label"), "Chart: ") {
			t.Error("a chart has no description")
		}
	}
}

func TestWithoutChartsThereIsNoScript(t *testing.T) {
	if n := len(elements(t, write(t, document(t, "empty")), "script")); n != 0 {
		t.Errorf("%d scripts", n)
	}
}

func point(x, y, low, high float64) reports.Point {
	return reports.Point{X: x, Y: y, Low: low, High: high}
}

// TestChartsShareAnAxis checks what the script is given: points of several lines
// at one place, two points of one line at one place, gaps, and what is missing.
func TestChartsShareAnAxis(t *testing.T) {
	nan := math.NaN()
	page := write(t, reports.Document{Sections: []reports.Section{{Blocks: []reports.Block{reports.Series{
		X: reports.Axis{Label: "rate", Unit: "/s"}, Y: reports.Axis{Label: "latency", Unit: "ms", Log: true},
		Lines: []reports.Line{
			{Name: "a", Points: []reports.Point{point(2, 20, 19, 21), point(1, 10, nan, nan), point(2, 22, 0, 23), point(3, nan, nan, nan)}},
			{Name: "b", Points: []reports.Point{point(1.5, 5, nan, nan), point(2, 0, nan, nan), point(nan, 1, nan, nan)}},
		},
		Markers: []reports.Marker{{Label: "edge", At: 2, Low: nan, High: math.Inf(1)}, {Label: "nowhere", At: nan}},
		Limits:  []reports.Limit{{Label: "none", At: math.Inf(1)}},
	}}}}})
	var got string
	for _, n := range elements(t, page, "script") {
		if attr(n, "id") == "charts" {
			got = strings.ReplaceAll(text(n), "\u00a0", " ")
		}
	}
	want := `[{"x":{"label":"rate (/s)","log":false},"y":{"label":"latency (ms)","log":true},` +
		`"xs":[1,1.5,2,2,3],"xTexts":["1/s","1.5/s","2/s","2/s","3/s"],"lines":[` +
		`{"name":"a","color":0,"dots":false,"ys":[10,null,20,22,null],"texts":["10 ms","–","20 ms","22 ms","–"],` +
		`"lows":[null,null,19,null,null],"highs":[null,null,21,23,null],"gaps":[false,false,false,false,true]},` +
		`{"name":"b","color":0,"dots":false,"ys":[null,5,null,null,null],"texts":["–","5 ms","–","–","–"],` +
		`"lows":[null,null,null,null,null],"highs":[null,null,null,null,null],"gaps":[false,false,true,false,false]}],` +
		`"limits":[],"markers":[{"label":"edge","at":2,"low":null,"high":null,"color":0}]}]`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestAssets holds the files of others to the table that says what they are.
func TestAssets(t *testing.T) {
	table, err := os.ReadFile(filepath.Join("assets", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"uPlot.iife.min.js", "uPlot.min.css"} {
		data, err := os.ReadFile(filepath.Join("assets", name))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		found := false
		for _, line := range strings.Split(string(table), "\n") {
			found = found || strings.HasPrefix(line, "| "+name+" |") && strings.Contains(line, hex.EncodeToString(sum[:]))
		}
		if !found {
			t.Errorf("assets/README.md does not have %s with SHA-256 %x", name, sum)
		}
		if bytes.Contains(data, []byte("</script")) || bytes.Contains(data, []byte("</style")) {
			t.Errorf("%s would end the element that it is embedded in", name)
		}
	}
}

type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteError(t *testing.T) {
	var w io.Writer = full{}
	if err := html.Write(w, document(t, "recommended")); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}
