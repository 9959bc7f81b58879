package architecture

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestRulesFindWhatTheyAreFor gives each rule code that breaks it, and code that
// looks like it and does not.
func TestRulesFindWhatTheyAreFor(t *testing.T) {
	const cmd, inner, pure = "cmd/internal/cli/a.go", "scenarios/a.go", "analysis/stat/a.go"
	tests := []struct {
		name string
		rule string
		file string
		code string
		want []int // lines that are found, as often as they are
	}{
		{"flag of the command line", "only cmd knows the user", inner, "import \"flag\"\nfunc f() { flag.Parse() }", []int{3}},
		{"flags of a child", "only cmd knows the user", inner, "import \"flag\"\nfunc f(a []string) { flag.NewFlagSet(\"\", flag.ContinueOnError).Parse(a) }", nil},
		{"cobra", "only cmd knows the user", inner, "import _ \"github.com/spf13/cobra\"", []int{2}},
		{"cobra in cmd", "only cmd knows the user", cmd, "import _ \"github.com/spf13/cobra\"", nil},
		{"environment", "only cmd knows the user", inner, "import \"os\"\nfunc f() string { return os.Getenv(\"A\") }", []int{3}},
		{"environment under another name", "only cmd knows the user", inner, "import sys \"os\"\nfunc f() {\n_, _ = sys.LookupEnv(\"A\") }", []int{4}},
		{"proxy of the environment", "only cmd knows the user", inner, "import \"net/http\"\nfunc f() http.Transport { return http.Transport{Proxy: http.ProxyFromEnvironment} }", []int{3}},
		{"program in PATH", "only cmd knows the user", inner, "import \"os/exec\"\nfunc f() { _, _ = exec.LookPath(\"a\") }", []int{3}},
		{"environment in a test", "only cmd knows the user", "scenarios/a_test.go", "import \"os\"\nfunc f() string { return os.Getenv(\"A\") }", nil},
		{"arguments and exit", "only cmd knows the user", inner, "import \"os\"\nfunc f() { if len(os.Args) > 1 {\nos.Exit(1) } }", []int{3, 4}},
		{"standard output", "only cmd knows the user", inner, "import (\"fmt\"\n\"os\")\nfunc f() { fmt.Fprintln(os.Stdout) }", []int{4}},
		{"print", "only cmd knows the user", inner, "import \"fmt\"\nfunc f() { fmt.Println()\nprintln() }", []int{3, 4}},
		{"print to a writer", "only cmd knows the user", inner, "import (\"fmt\"; \"io\")\nfunc f(w io.Writer) { fmt.Fprintln(w) }", nil},
		{"somebody's own Exit", "only cmd knows the user", inner, "type o struct{}\nfunc (o) Exit(int) {}\nfunc f(os o) { os.Exit(1) }", nil},
		{"logger of its own", "only cmd knows the user", inner, "import (\"io\"; \"log\")\nfunc f(w io.Writer) { log.New(w, \"\", 0).Print() }", nil},
		{"logger of the process", "only cmd knows the user", inner, "import \"log\"\nfunc f() { log.Fatal() }", []int{3}},

		{"clock", "pure rooms are pure", pure, "import \"time\"\nvar d = time.Second\nfunc f() { time.Now() }", []int{4}},
		{"clock in the schedule", "pure rooms are pure", "loadgen/schedule/a.go", "import \"time\"\nfunc f() { time.Now() }", []int{3}},
		{"clock in the sampler", "pure rooms are pure", "loadgen/sampler/a.go", "import \"time\"\nfunc f() { time.Now() }", nil},
		{"network in a report", "pure rooms are pure", "reports/html/a.go", "import _ \"net/http\"", []int{2}},
		{"chance of the process", "pure rooms are pure", pure, "import \"math/rand/v2\"\nfunc f() { rand.Float64() }", []int{3}},
		{"chance that is given", "pure rooms are pure", pure, "import rand \"math/rand/v2\"\nfunc f(r *rand.Rand) { r.Float64() }", nil},

		{"init", "no init", inner, "func init() {}", []int{2}},
		{"method called init", "no init", inner, "type T int\nfunc (T) init() {}", nil},
		{"init of a test", "no init", "scenarios/a_test.go", "func init() {}", []int{2}},

		{"map", "no variables that can change", inner, "var m = map[string]int{}", []int{2}},
		{"no value", "no variables that can change", inner, "var (\nn int\nm []string\n)", []int{3, 4}},
		{"error", "no variables that can change", inner, "import \"errors\"\nvar ErrA = errors.New(\"a\")", nil},
		{"error of a type", "no variables that can change", inner, "type e struct{ error }\nvar ErrA error = e{}", nil},
		{"error without a value", "no variables that can change", inner, "var ErrA error", []int{2}},
		{"expression", "no variables that can change", inner, "import \"regexp\"\nvar a = regexp.MustCompile(`a`)", nil},
		{"interface check", "no variables that can change", inner, "type T struct{}\nvar _ any = T{}", nil},
		{"embedded", "no variables that can change", inner, "import _ \"embed\"\n//go:embed a.txt\nvar a []byte", nil},
		{"function in a variable", "no variables that can change", inner, "import \"time\"\nvar now = time.Now", []int{3}},
		{"variable in a function", "no variables that can change", inner, "func f() { var n int; _ = n }", nil},
		{"variable of a test", "no variables that can change", "scenarios/a_test.go", "var update bool", nil},

		{"sleep in a test", "no waiting by the clock", "scenarios/a_test.go", "import \"time\"\nfunc f() { time.Sleep(time.Second) }", []int{3}},
		{"sleep until killed", "no waiting by the clock", "scenarios/a_test.go", "import \"time\"\nfunc f() { time.Sleep(time.Hour) }", nil},
		{"sleep in code", "no waiting by the clock", inner, "import \"time\"\nfunc f() { time.Sleep(1) }", nil},
		{"timer in code", "no waiting by the clock", inner, "import \"time\"\nfunc f() { <-time.After(1) }", []int{3}},
		{"timer in a test", "no waiting by the clock", "scenarios/a_test.go", "import \"time\"\nfunc f() { <-time.After(1) }", nil},

		{"transport", "of x/net/http2 only the frame", inner, "import \"golang.org/x/net/http2\"\nvar t http2.Transport", []int{3}},
		{"framer", "of x/net/http2 only the frame", inner, "import \"golang.org/x/net/http2\"\nvar t http2.Framer", nil},

		{"long function", "files and functions are short", inner, "func f() {" + strings.Repeat("\n", longestFunction) + "}", []int{2}},
		{"function", "files and functions are short", inner, "func f() {" + strings.Repeat("\n", longestFunction-1) + "}", nil},
		{"long test", "files and functions are short", "scenarios/a_test.go", "func f() {" + strings.Repeat("\n", longestFunction) + "}", nil},
	}
	seen := make(map[string]bool)
	for _, test := range tests {
		seen[test.rule] = true
		t.Run(test.rule+"/"+test.name, func(t *testing.T) {
			s, err := parse(test.file, []byte("package a\n"+test.code))
			if err != nil {
				t.Fatal(err)
			}
			got := rules()[test.rule](s)
			if len(got) != len(test.want) {
				t.Fatalf("found %q, want lines %v", got, test.want)
			}
			for i, line := range test.want {
				if prefix := fmt.Sprintf("%s:%d: ", test.file, line); !strings.HasPrefix(got[i], prefix) {
					t.Errorf("found %q, want %s…", got[i], prefix)
				}
			}
		})
	}
	for name := range rules() {
		if !seen[name] {
			t.Errorf("nothing shows that the rule %q finds anything", name)
		}
	}
}

func TestLongFileIsFound(t *testing.T) {
	for _, test := range []struct {
		lines, want int
	}{{longestFile, 0}, {longestFile + 1, 1}} {
		s, err := parse("scenarios/a_test.go", []byte("package a"+strings.Repeat("\n", test.lines-1)+"var a int"))
		if err != nil {
			t.Fatal(err)
		}
		if got := length(s); len(got) != test.want {
			t.Errorf("%d lines: found %q, want %d findings", test.lines, got, test.want)
		}
	}
}

func TestVersionIsOnlyOfAProgram(t *testing.T) {
	s, err := parse("cmd/sailplan/main.go", []byte("package main\nvar version = \"dev\"\nvar other = \"dev\""))
	if err != nil {
		t.Fatal(err)
	}
	if got := variables(s); len(got) != 1 || !strings.HasPrefix(got[0], "cmd/sailplan/main.go:3: ") {
		t.Errorf("found %q, want line 3 alone", got)
	}
}

func TestTable(t *testing.T) {
	const text = "before\n\n| package | owns | may import |\n|---|---|---|\n" +
		"| `scenarios` | files | – |\n| `loadgen` | load | `scenarios`, `loadgen/...` |\n| `cmd/sailplan` | all | `...` |\n\nafter\n\n| `x` | of another table | – |\n"
	rooms, err := readTable(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(rooms) != 3 {
		t.Errorf("read %d rows, want 3: %v", len(rooms), rooms)
	}
	for _, test := range []struct {
		name    string
		folder  string
		imports []string
		want    int
	}{
		{"nothing", "scenarios", nil, 0},
		{"nothing is allowed", "scenarios", []string{"loadgen"}, 1},
		{"what is named", "loadgen", []string{"scenarios"}, 0},
		{"below what is named", "loadgen", []string{"scenarios/lab"}, 1},
		{"all below", "loadgen", []string{"loadgen/record"}, 0},
		{"a name that begins alike", "loadgen", []string{"loadgenerator"}, 1},
		{"two", "loadgen", []string{"reports", "analysis"}, 2},
		{"everything", "cmd/sailplan", []string{"scenarios", "loadgen"}, 0},
		{"no row", "loadgen/new", nil, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := rooms.forbidden(test.folder, test.imports); len(got) != test.want {
				t.Errorf("found %q, want %d findings", got, test.want)
			}
		})
	}
}

func TestTableThatCannotBeRead(t *testing.T) {
	const head = "| package | owns | may import |\n|---|---|---|\n"
	for name, text := range map[string]string{
		"no table":      "text",
		"only a head":   head,
		"two columns":   head + "| `a` | b |\n",
		"no backquotes": head + "| `a` | b | c |\n",
		"twice":         head + "| `a` | b | – |\n| `a` | b | – |\n",
	} {
		t.Run(name, func(t *testing.T) {
			if rooms, err := readTable(text); err == nil {
				t.Errorf("read %v, want an error", rooms)
			}
		})
	}
}

func TestOneDirection(t *testing.T) {
	for _, test := range []struct {
		folder   string
		imported string
		want     int
	}{
		{"loadgen/record", "scenarios", 0},
		{"loadgen/record", "loadgen", 0},
		{"loadgen/record", "scenarios/lab", 0},
		{"loadgen/record", "analysis/stat", 1},
		{"scenarios", "cmd/internal/cli", 1},
		{"cmd/sailplan", "reports/html", 0},
		{"tools", "scenarios", 2},
	} {
		if got := against(test.folder, []string{test.imported}); len(got) != test.want {
			t.Errorf("%s, which imports %s: found %q, want %d findings", test.folder, test.imported, got, test.want)
		}
	}
}

func TestPackageCommentIsFound(t *testing.T) {
	for _, test := range []struct {
		name, folder, code string
		documented         bool
	}{
		{"documented", "scenarios", "// Package scenarios owns files.\npackage scenarios", true},
		{"program", "cmd/sailplan", "// Command sailplan sails.\npackage main", true},
		{"none", "scenarios", "package scenarios", false},
		{"of another package", "scenarios", "// Package lab owns a lab.\npackage scenarios", false},
		{"apart from the clause", "scenarios", "// Package scenarios owns files.\n\npackage scenarios", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := parse(test.folder+"/a.go", []byte(test.code))
			if err != nil {
				t.Fatal(err)
			}
			if got := undocumented(test.folder, []source{s}); (got == "") != test.documented {
				t.Errorf("got %q, documented: %t", got, test.documented)
			}
		})
	}
	for folder, want := range map[string]bool{"loadgen/util": true, "loadgen/h2": false} {
		if got := vague(folder); got != want {
			t.Errorf("%s: vague is %t, want %t", folder, got, want)
		}
	}
}

func TestLocalPathsAreFound(t *testing.T) {
	const slash = "/" // so that this file has no such path in it
	checkout := slash + "srv/checkouts/sailplan"
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"home of root", "a\nsee " + slash + "root/notes", []string{"a.md:2: has a path of one machine, " + slash + "root/notes"}},
		{"home", "'" + slash + "home/jane/x'", []string{"a.md:1: has a path of one machine, " + slash + "home/jane"}},
		{"at the start", slash + "Users/jane", []string{"a.md:1: has a path of one machine, " + slash + "Users/jane"}},
		{"two on a line", slash + "work/a " + slash + "work/b", []string{"a.md:1: has a path of one machine, " + slash + "work/a", "a.md:1: has a path of one machine, " + slash + "work/b"}},
		{"this checkout", "in " + checkout + "/bin", []string{"a.md:1: has the path of this checkout"}},
		{"of an address", "https://example.com" + slash + "home/x", nil},
		{"from a variable", "$HOME" + slash + "work/x ${A}" + slash + "home/x", nil},
		{"relative", "docs" + slash + "work/x", nil},
		{"of the system", "/proc/self/stat and /sys/fs/cgroup", nil},
		{"prose", "load/root cause", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := localPaths("a.md", []byte(test.text), checkout); !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}
