package cli

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

func TestABOfWrongUse(t *testing.T) {
	url := "http://127.0.0.1:1/"
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"one side", []string{"ab", "--base", url}, "both --base and --new"},
		{"pairs in words", []string{"ab", "--base", url, "--new", url, "--pairs", "many"}, "a number of pairs, or auto"},
		{"no pairs", []string{"ab", "--base", url, "--new", url, "--pairs", "0"}, "a number of pairs, or auto"},
		{"an Envoy for a URL", []string{"ab", "--base", url, "--new", url, "--new-envoy", "x"}, "--new-envoy is about a lab"},
		{"a scenario that is not there", []string{"ab", "--base", url, "--new", "gone.yaml"}, "gone.yaml"},
		{"both started at one address together", []string{"ab", "--base", url, "--new", url, "--base-start", "a", "--new-start", "b", "--together"}, "need different addresses"},
		{"a rate that is none", []string{"ab", "--base", url, "--new", url, "--rate", "fast"}, "--rate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProcess(t, "")
			if code := Main(test.args, p.Process); code != exitUsage || !strings.Contains(p.stderr.String(), test.says) {
				t.Errorf("exit code %d, want %d; it says\n%s", code, exitUsage, p.stderr.String())
			}
		})
	}
}

// What the first look cannot show is said in the help and before the first pair.
func TestABSaysWhatTheFirstLookShows(t *testing.T) {
	p := newProcess(t, "")
	if code := Main([]string{"ab", "--help"}, p.Process); code != exitDone {
		t.Fatal(code)
	}
	said := strings.Join(strings.Fields(p.stdout.String()), " ")
	if !strings.Contains(said, "after 8, 12, 18, 27 and 40") || !strings.Contains(said, "more than 2, it cannot yet show of any that it is worse or better, however clear that is: that takes 12 pairs") {
		t.Errorf("the help says %s", said)
	}
	var notes []string
	j := &pairJudge{note: func(text string) { notes = append(notes, text) }, began: time.Now(), most: time.Hour}
	if !j.more(0) || len(notes) != 1 || !strings.Contains(notes[0], "looking at 8 pairs first") || !strings.Contains(notes[0], "more than 2, of none that it is worse or better") || !strings.Contains(notes[0], "after 12") {
		t.Errorf("notes %q", notes)
	}
	// Ten pairs would do for nine metrics, but nothing is looked at before the twelfth.
	j.expected = []compare.Expectation{{Pairs: 8, Needs: 10}}
	j.untilLooks()
	if notes = nil; j.expected[0].Needs != 12 {
		t.Errorf("it takes %d pairs", j.expected[0].Needs)
	}
	if j.tellExpected(); len(notes) != 1 || !strings.Contains(notes[0], "8 pairs show of no metric that it is worse: among so many that takes 12 pairs") {
		t.Errorf("notes %q", notes)
	}
}

// serveAfter serves cleartext HTTP/2 whose answers take so long, and returns the URL.
func serveAfter(t *testing.T, wait time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		<-done
	})
	return "http://" + listener.Addr().String() + "/"
}

// A new side that takes three times as long is found, by exit code and in every form.
func TestABFindsASlowerSide(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ab")
	p := newProcess(t, "")
	environment := p.LookupEnv
	p.LookupEnv = func(name string) (string, bool) {
		if name == "GITHUB_ACTIONS" {
			return "true", true
		}
		return environment(name)
	}
	p.Executable = os.Executable
	// An objective of two seconds, so that a busy machine does not spoil the runs.
	side := func(wait time.Duration) string {
		file := filepath.Join(t.TempDir(), "side.yaml")
		text := strings.Replace(scenarioText, "lab: {proxy: auto}", "target: {url: '"+serveAfter(t, wait)+"', protocol: h2c}", 1)
		text = strings.Replace(text, "quantile: 0.99, latency: 50ms", "quantile: 0.9, latency: 2s", 1)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	slow := side(20 * time.Millisecond)
	code := Main([]string{
		"ab", "--base", slow, "--new", side(100 * time.Millisecond),
		"--rate", "150/s", "--duration", "1s", "--pairs", "6", "--out", dir, "--quiet",
	}, p.Process)
	if code != exitNo {
		t.Fatalf("exit code %d\n%s\n%s", code, p.stdout.String(), p.stderr.String())
	}
	for _, want := range []string{"Regressed", "latency p50", "::error title=latency p50 regressed::"} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, p.stdout.String())
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "ab.json"))
	if err != nil {
		t.Fatal(err)
	}
	var comparison analysis.Comparison
	if err := json.Unmarshal(text, &comparison); err != nil {
		t.Fatal(err)
	}
	// Told after four pairs, and of all that is compared.
	if len(comparison.Expected) < 3 || comparison.Expected[0].From != 4 || comparison.Expected[0].Pairs != 6 {
		t.Errorf("told beforehand: %+v", comparison.Expected)
	}
	if !comparison.Paired || len(comparison.Base) < 6 || !strings.HasSuffix(comparison.New[1].Dir, "002-new") {
		t.Errorf("ab.json: %+v", comparison)
	}
	// Its pairs tell beforehand what the next ones will show.
	next := newProcess(t, "")
	next.Executable = os.Executable
	foreseen := []string{"ab", "--base", slow, "--new", slow, "--rate", "150/s", "--duration", "1s", "--pairs", "12", "--max-time", "1ms", "--out", filepath.Join(t.TempDir(), "next"), "--foresee-by", dir}
	_ = Main(foreseen, next.Process) // one pair, of which nothing is known
	said := next.stderr.String()
	told, began := strings.Index(said, "what 12 pairs will show four times in five, by the scatter of earlier runs"), strings.Index(said, "pair 1: base")
	if told < 0 || began < told || !strings.Contains(said, "latency p50: worse by ") {
		t.Errorf("not told before the first pair:\n%s", said)
	}
	if code := Main(append(foreseen, "--foresee-by", filepath.Join(dir, "001-base")), newProcess(t, "").Process); code != exitUsage {
		t.Errorf("by one run: exit code %d, want %d", code, exitUsage)
	}
	// Its runs are runs like others.
	again := newProcess(t, "")
	arguments := []string{"compare"}
	for _, run := range comparison.Base {
		arguments = append(arguments, run.Dir)
	}
	arguments = append(arguments, "--")
	for _, run := range comparison.New {
		arguments = append(arguments, run.Dir)
	}
	if code := Main(arguments, again.Process); code != exitNo {
		t.Errorf("compare: exit code %d\n%s\n%s", code, again.stdout.String(), again.stderr.String())
	}
}

func TestABCommandThatDoesNotListen(t *testing.T) {
	p := newProcess(t, "")
	p.Executable = os.Executable
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := "http://" + listener.Addr().String() + "/"
	_ = listener.Close()
	code := Main([]string{
		"ab", "--base", free, "--new", free, "--base-start", "echo no such port; exit 7", "--new-start", "true",
		"--duration", "1s", "--out", filepath.Join(t.TempDir(), "ab"), "--quiet",
	}, p.Process)
	said := p.stderr.String()
	if code != exitFailed || !strings.Contains(said, "the command of base ended before it listened") || !strings.Contains(said, "no such port") || !strings.Contains(said, "exit status 7") {
		t.Errorf("exit code %d; it says\n%s", code, said)
	}
}

// Both sides of a pair at the same time: their runs overlap, and arrivals differ.
func TestABTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ab")
	p := newProcess(t, "")
	p.Executable = os.Executable
	url := serveAfter(t, time.Millisecond)
	code := Main([]string{"ab", "--together", "--base", url, "--new", url, "--rate", "100/s", "--duration", "1s", "--pairs", "2", "--out", dir, "--quiet"}, p.Process)
	if code != exitDone && code != exitNo && code != exitInvalid { // two pairs say nothing
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	var seeds []uint64
	for _, pair := range []string{"001", "002"} {
		var began, ended []time.Time
		for _, side := range []string{"base", "new"} {
			rec, err := record.Open(filepath.Join(dir, pair+"-"+side))
			if err != nil {
				t.Fatal(err)
			}
			seeds = append(seeds, rec.Seed)
			load := rec.Data[len(rec.Data)-1]
			began, ended = append(began, rec.StartedAt.Add(load.Start)), append(ended, rec.StartedAt.Add(load.SendEnd))
		}
		if !began[0].Before(ended[1]) || !began[1].Before(ended[0]) {
			t.Errorf("pair %s: from %v to %v", pair, began, ended)
		}
	}
	slices.Sort(seeds)
	if len(slices.Compact(seeds)) != 4 {
		t.Errorf("the same arrivals come twice: seeds %v", seeds)
	}
}

// Where no pair can count, as with too few answers for an objective, that is said of each,
// and not measured on and on.
func TestABInVain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "side.yaml")
	text := strings.Replace(scenarioText, "lab: {proxy: auto}", "target: {url: '"+serveAfter(t, time.Millisecond)+"', protocol: h2c}", 1)
	text = strings.Replace(text, "latency: 50ms", "latency: 2s", 1) // of p99, which needs 726 answers
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := newProcess(t, "")
	p.Executable = os.Executable
	dir := filepath.Join(t.TempDir(), "ab")
	code := Main([]string{"ab", "--base", file, "--new", file, "--rate", "50/s", "--duration", "500ms", "--out", dir}, p.Process)
	for _, want := range []string{"pair 1 does not count: 001-base: ", "726", "none of the first 4 pairs counts"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, p.stderr.String())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "005-base")); err == nil || code != exitInvalid {
		t.Errorf("exit code %d, want %d; fifth pair: %v", code, exitInvalid, err)
	}
}

// When one side cannot be measured, the other one is ended as well, and the error says
// which it was.
func TestABTogetherOfASideThatIsNotThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + listener.Addr().String() + "/"
	_ = listener.Close()
	p := newProcess(t, "")
	p.Executable = os.Executable
	began := time.Now()
	code := Main([]string{"ab", "--together", "--base", serveAfter(t, time.Millisecond), "--new", gone, "--duration", "1m", "--out", filepath.Join(t.TempDir(), "ab"), "--quiet"}, p.Process)
	if said := p.stderr.String(); code != exitFailed || !strings.Contains(said, "new, pair 1") || time.Since(began) > 40*time.Second {
		t.Errorf("exit code %d after %s; it says\n%s", code, time.Since(began), said)
	}
}
