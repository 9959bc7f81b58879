package scenarios_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// FuzzDecode wants a plain answer to any file, and what was read to survive
// writing and reading.
func FuzzDecode(f *testing.F) {
	for _, name := range scenarios.Examples() {
		data, _ := scenarios.Example(name)
		f.Add(data)
	}
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("lab: &a {gateway: *a}\n"))
	f.Add([]byte(minimal + "requests: [{<<: {path: /}, body: \"a\\0\\u2028\"}]\ndemand: {headroom: 0}\nobjectives: [{errorRatio: 0}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := scenarios.Decode("fuzz.yaml", data)
		if err != nil {
			var problems scenarios.Errors
			if !errors.As(err, &problems) || len(problems) == 0 || err.Error() == "" {
				t.Fatalf("got error %#v, want problems with a message", err)
			}
			return
		}
		checkRoundTrip(t, *s)
		full := scenarios.Defaults(*s)
		checkRoundTrip(t, full)
		if got, want := mustJSON(t, scenarios.Defaults(full)), mustJSON(t, full); got != want {
			t.Errorf("Defaults of Defaults\n got %s\nwant %s", got, want)
		}
		before := mustJSON(t, full)
		validity := scenarios.Validate(full)
		if after := mustJSON(t, full); after != before {
			t.Errorf("Validate changed the scenario to %s", after)
		}
		if validity == nil {
			validity = scenarios.ValidateFiles(full)
		}
		if _, err := scenarios.Resolve(*s); (err == nil) != (validity == nil) {
			t.Errorf("Resolve says %v, Validate and ValidateFiles %v", err, validity)
		}
	})
}

// FuzzScenarioJSON wants no panic, and the same after writing and reading.
func FuzzScenarioJSON(f *testing.F) {
	f.Add([]byte(mustJSON(f, scenarios.Defaults(exampleScenario(f, "init")))))
	f.Add([]byte(mustJSON(f, exampleScenario(f, "target"))))
	f.Add([]byte(`{"demand":{"headroom":0,"growthPerMonth":"5%"},"requests":[{"body":"\ud83d\udea2"}],"seed":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s scenarios.Scenario
		if err := json.Unmarshal(data, &s); err != nil {
			return
		}
		s.APIVersion, s.Kind = scenarios.APIVersion, scenarios.Kind
		checkRoundTrip(t, s)
	})
}

func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"5000/s", "2.5k/s", "90/m", "0.001/h", "3/7s", "1.5/1m1s", "0/s", "5/100ms", "1M/h", "-1/s", "1e3/s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := scenarios.ParseRate(text)
		if err != nil {
			return
		}
		if rps := rate.RPS(); rate.Count < 0 || math.IsNaN(rps) || math.IsInf(rps, 0) {
			t.Fatalf("%q: got %+v", text, rate)
		}
		back, err := scenarios.ParseRate(rate.String())
		if err != nil || math.Abs(back.RPS()-rate.RPS()) > 1e-12*rate.RPS() {
			t.Errorf("%q: got %+v, as text %s, which reads as %+v, error %v", text, rate, rate, back, err)
		}
		if again := back.String(); again != rate.String() {
			t.Errorf("%q: got text %s, then %s", text, rate, again)
		}
	})
}

func FuzzRateString(f *testing.F) {
	f.Add(int64(2500), int64(1000*time.Second))
	f.Add(int64(3), int64(7*time.Second))
	f.Add(int64(1), int64(1))
	f.Fuzz(func(t *testing.T, count, per int64) {
		if count <= 0 || per <= 0 || count > 1e9 {
			return
		}
		rate := scenarios.Rate{Count: count, Per: time.Duration(per)}
		back, err := scenarios.ParseRate(rate.String())
		if err != nil {
			t.Fatalf("%+v: %v", rate, err)
		}
		if math.Abs(back.RPS()-rate.RPS()) > 1e-12*rate.RPS() {
			t.Errorf("%+v: text %s reads as %+v", rate, rate, back)
		}
	})
}

func FuzzQuantity(f *testing.F) {
	for _, seed := range []string{"512Mi", "0.5Gi", "1.5M", "300m", "0.125", "2", "20%", "0.1%", "1e-3", "14 %", "999999999999999999Pi"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if b, err := scenarios.ParseBytes(text); err == nil {
			if back, err := scenarios.ParseBytes(b.String()); err != nil || back != b || b < 0 {
				t.Errorf("%q: bytes %d as %s reads as %d, error %v", text, b, b, back, err)
			}
		}
		if c, err := scenarios.ParseCPU(text); err == nil {
			if back, err := scenarios.ParseCPU(c.String()); err != nil || back != c || c < 0 {
				t.Errorf("%q: cpu %d as %s reads as %d, error %v", text, c, c, back, err)
			}
		}
		if r, err := scenarios.ParseRatio(text); err == nil && r < 1e7 {
			if back, err := scenarios.ParseRatio(r.String()); err != nil || back != r {
				t.Errorf("%q: ratio %v as %s reads as %v, error %v", text, float64(r), r, float64(back), err)
			}
		}
	})
}

// FuzzSplitTemplate wants every byte of a template accounted for: what is neither
// a placeholder nor the sign that escapes one is text.
func FuzzSplitTemplate(f *testing.F) {
	for _, seed := range []string{"/a/${id}?x=${y.z-1}", "$${a}$$${b}", "${", "${${a}", "${}", "$", "a${ b}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parts, stray := scenarios.SplitTemplate(text)
		length := 0
		for i, part := range parts {
			if (part.Name == "") == (part.Text == "") {
				t.Fatalf("%q: part %d is %+v, want either a text or a name", text, i, part)
			}
			length += len(part.Text)
			if part.Name != "" {
				length += len("${}") + len(part.Name)
			}
		}
		if escapes := len(text) - length; escapes < 0 || escapes > strings.Count(text, "$${") {
			t.Errorf("%q: %+v has %d bytes of %d", text, parts, length, len(text))
		}
		if stray >= 0 && !strings.HasPrefix(text[stray:], "${") {
			t.Errorf("%q: nothing strays at %d", text, stray)
		}
	})
}

func FuzzParseStatuses(f *testing.F) {
	for _, seed := range []string{"200", "2xx, 301-304", "204-200", "", "1xx,5xx"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ranges, err := scenarios.ParseStatuses(text)
		for _, r := range ranges {
			if err != nil || r.From < 100 || r.To > 599 || r.To < r.From {
				t.Errorf("%q: got %+v, error %v", text, r, err)
			}
		}
	})
}

func FuzzParsePortion(f *testing.F) {
	for _, text := range []string{"", "0", "1", "25%", "100%", "101%", "-1", "99999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := scenarios.ParsePortion(text)
		if err != nil {
			return
		}
		count, share, isShare := p.Parts()
		if count < 0 || share < 0 || share > 1 || isShare && count != 0 {
			t.Errorf("%q is %d, %g, %v", text, count, share, isShare)
		}
		if back, err := p.MarshalText(); err != nil || string(back) != text {
			t.Errorf("%q is written as %q, %v", text, back, err)
		}
	})
}
