package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/fit"
)

var update = flag.Bool("update", false, "write testdata anew")

// fitFile is a table in testdata. specsdm91 and raytracer are data sets of the R
// package usl, cisco is from Schwartz 2015; latency is M/M/4 with 10 ms a request
// and 2 % of noise, cpu 20 millicores idle and 720 µs a request.
func fitFile(name string) string { return filepath.Join("testdata", "fit", name+".csv") }

// TestFitOutput compares what is printed with testdata/fit/*.txt and *.md. The
// tables begin with a byte order mark, end lines as Windows does, and have
// semicolons between: one kind each.
func TestFitOutput(t *testing.T) {
	for _, test := range []struct {
		golden string
		args   []string
	}{
		{"usl.txt", []string{"usl", fitFile("cisco"), "--x", "concurrency", "--y", "throughput", "--predict", "20,96,128", "--inverse", "11048,13000"}},
		{"usl.md", []string{"usl", fitFile("cisco"), "--predict", "20,96", "--inverse", "11048,13000", "--markdown", "-"}},
		{"usl-bound.txt", []string{"usl", fitFile("raytracer"), "--noise", "constant", "--predict", "96,128", "--inverse", "300,3000"}},
		{"amdahl-points.txt", []string{"amdahl", fitFile("raytracer"), "--points"}},
		{"linear-rejected.txt", []string{"linear", fitFile("specsdm91"), "--inverse", "10000"}},
		{"piecewise.txt", []string{"piecewise", fitFile("specsdm91"), "--predict", "300", "--inverse", "1000,1800"}},
		{"demand.txt", []string{"demand", fitFile("cpu"), "--predict", "600,3000", "--inverse", "0.5,0.001"}},
		{"mmc.txt", []string{"mmc", fitFile("latency"), "--predict", "390,900", "--inverse", "0.05,0.001"}},
	} {
		t.Run(test.golden, func(t *testing.T) {
			p := newProcess(t, "")
			if code := Main(append([]string{"fit"}, test.args...), p.Process); code != exitDone {
				t.Fatalf("exit code: got %d with %s, want 0", code, p.stderr.String())
			}
			path := filepath.Join("testdata", "fit", test.golden)
			if *update {
				if err := os.WriteFile(path, p.stdout.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.stdout.Bytes(); !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s\nrun with -update after looking at the difference", got, want)
			}
		})
	}
}

// TestFitJSON: the whole way from flags to JSON, against Schwartz 2015, who fits
// without logarithms: sigma, kappa, lambda, and a peak of 12 341 at 35. At 11 048
// the law itself gives 19.93; formulas without kappa say 15.4.
func TestFitJSON(t *testing.T) {
	p := newProcess(t, "")
	code := Main([]string{"fit", "usl", fitFile("cisco"), "--noise", "constant", "--predict", "35,96", "--inverse", "11048,12500", "--json", "-"}, p.Process)
	if code != exitDone {
		t.Fatalf("exit code: got %d with %s, want 0", code, p.stderr.String())
	}
	var r fit.Result
	if err := json.Unmarshal(p.stdout.Bytes(), &r); err != nil {
		t.Fatalf("standard output is not JSON: %v", err)
	}
	near := func(what string, got, want, tolerance float64) {
		if !(math.Abs(got-want) <= tolerance*want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	for i, want := range []struct {
		name  string
		value float64
	}{{"lambda", 995.6486}, {"sigma", 0.02671591}, {"kappa", 0.00076909}} {
		if r.Parameters[i].Name != want.name {
			t.Errorf("parameter %d: got %s, want %s", i, r.Parameters[i].Name, want.name)
		}
		near(want.name, r.Parameters[i].Value, want.value, 1e-5)
	}
	near("prediction", r.Predictions[0].Value, 12341, 1e-4)
	near("inverse", r.Inverse[0].Value, 19.93, 1e-3)
	if len(r.Predictions[1].Warnings) == 0 || !r.Inverse[0].Feasible || r.Inverse[1].Feasible || r.Inverse[1].OK() {
		t.Errorf("got %+v and %+v, want a warning of the extrapolation, and the second infeasible", r.Predictions, r.Inverse)
	}
	if !strings.Contains(p.stderr.String(), "usl fitted to") {
		t.Errorf("standard error: got %q, want the report there", p.stderr.String())
	}
}

func TestFitFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	p := newProcess(t, "n,x\n1,100\n2,190\n4,340\n8,530\n16,700\n32,790\n")
	code := Main([]string{"fit", "usl", "-", "--json", file("fit.json"), "--markdown", file("fit.md"), "--html", file("fit.html"), "--junit", file("fit.xml")}, p.Process)
	if code != exitDone {
		t.Fatalf("exit code: got %d with %s, want 0", code, p.stderr.String())
	}
	for name, want := range map[string]string{
		"fit.json": `"sigma"`, "fit.md": "usl fitted to standard input", "fit.html": "uPlot", "fit.xml": "<testsuite",
	} {
		data, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), want) {
			t.Errorf("%s: no %q in it", name, want)
		}
	}
	if !strings.Contains(p.stdout.String(), "usl fitted to standard input") {
		t.Errorf("standard output: got %q, want the report", p.stdout.String())
	}
}

func TestFitRefuses(t *testing.T) {
	sweep := "n,x\n1,100\n2,190\n4,340\n8,530\n16,700\n"
	for _, test := range []struct {
		name  string
		args  []string
		stdin string
		want  string // part of standard error
	}{
		{"no file", []string{"usl"}, "", "see `sailplan fit --help`"},
		{"a file that is not there", []string{"usl", "nowhere.csv"}, "", "nowhere.csv"},
		{"a model that there is not", []string{"gunther", "-"}, sweep, `no model "gunther": there are usl, amdahl, linear, piecewise, demand, mmc`},
		{"a column that there is not", []string{"usl", "-", "--x", "replicas", "--y", "x"}, sweep, `-:1: no column "replicas" for --x: there are "n", "x"`},
		{"too few points", []string{"usl", "-"}, "n,x\n1,100\n2,190\n4,340\n", "-:4: too few points: 3; usl has 3 parameters and needs at least 4"},
		{"repeated", []string{"usl", "-"}, sweep + "16,710\n", "-:7: n is 16 again, as in line 6: average the rows"},
		{"zero", []string{"usl", "-"}, sweep + "32,0\n", "-:7: x is 0"},
		{"negative", []string{"usl", "-"}, sweep + "32,-5\n", `-:7: x is "-5"`},
		{"not a number", []string{"usl", "-"}, sweep + "32,NaN\n", `-:7: x is "NaN"`},
		{"text", []string{"usl", "-"}, sweep + "32,many\n", `-:7: x is "many": not a number`},
		{"ragged", []string{"usl", "-"}, sweep + "32\n", "-:7: one field, the first line has 2"},
		{"empty", []string{"usl", "-"}, "", "-:1: empty"},
		{"an idle concurrency", []string{"usl", "-"}, sweep + "0,5\n", "-:7: n is 0"},
		{"a prediction at no number", []string{"usl", "-", "--predict", "ten"}, sweep, "--predict"},
		{"a prediction at 0", []string{"usl", "-", "--predict", "0"}, sweep, "--predict 0"},
		{"a noise that there is not", []string{"usl", "-", "--noise", "loud"}, sweep, "--noise loud: has to be relative or constant"},
		{"a noise that demand has not", []string{"demand", "-", "--noise", "constant"}, sweep, "--noise constant is for the scalability models"},
		{"servers of the USL", []string{"usl", "-", "--servers", "2"}, sweep, "--servers is for mmc"},
		{"fewer servers than none", []string{"mmc", "-", "--servers", "-2"}, sweep, "--servers -2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProcess(t, test.stdin)
			if code := Main(append([]string{"fit"}, test.args...), p.Process); code != exitUsage {
				t.Errorf("exit code: got %d, want 2", code)
			}
			if !strings.Contains(p.stderr.String(), test.want) {
				t.Errorf("standard error: got %q, want %q in it", p.stderr.String(), test.want)
			}
			if p.stdout.Len() > 0 {
				t.Errorf("standard output: got %q, want nothing", p.stdout.String())
			}
		})
	}
}
