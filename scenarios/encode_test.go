package scenarios_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// exampleScenario decodes a built-in example.
func exampleScenario(t testing.TB, name string) scenarios.Scenario {
	t.Helper()
	data, ok := scenarios.Example(name)
	if !ok {
		t.Fatalf("no example %s", name)
	}
	s, err := scenarios.Decode(name+".yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

// mustJSON compares scenarios as text, which leaves out where they were read.
func mustJSON(t testing.TB, s scenarios.Scenario) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkRoundTrip encodes s as YAML and JSON and wants the same back.
func checkRoundTrip(t testing.TB, s scenarios.Scenario) {
	t.Helper()
	want := mustJSON(t, s)
	text, err := scenarios.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	fromYAML, err := scenarios.Decode("encoded.yaml", text)
	if err != nil {
		t.Fatalf("decoding what Encode wrote: %v\n%s", err, text)
	}
	if got := mustJSON(t, *fromYAML); got != want {
		t.Errorf("after YAML\n got %s\nwant %s\ntext:\n%s", got, want, text)
	}
	var fromJSON scenarios.Scenario
	if err := json.Unmarshal([]byte(want), &fromJSON); err != nil {
		t.Fatalf("reading what MarshalJSON wrote: %v\n%s", err, want)
	}
	if got := mustJSON(t, fromJSON); got != want {
		t.Errorf("after JSON\n got %s\nwant %s", got, want)
	}
	if got, want := mustJSON(t, scenarios.Defaults(fromJSON)), mustJSON(t, scenarios.Defaults(s)); got != want {
		t.Errorf("defaults after JSON\n got %s\nwant %s", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, name := range scenarios.Examples() {
		t.Run(name, func(t *testing.T) {
			s := exampleScenario(t, name)
			checkRoundTrip(t, s)
			checkRoundTrip(t, scenarios.Defaults(s))
		})
	}
	t.Run("zeros that are written stay", func(t *testing.T) {
		s, err := scenarios.Decode("zero.yaml", []byte(minimal+"demand: {headroom: 0%, growthPerMonth: 5%, horizonMonths: 0}\nobjectives: [{errorRatio: 0}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, *s)
		full := scenarios.Defaults(*s)
		checkRoundTrip(t, full)
		if full.Demand.Headroom != 0 || full.Demand.HorizonMonths != 0 {
			t.Errorf("got demand %+v, want headroom and horizon as written", full.Demand)
		}
	})
	t.Run("text that YAML would misread", func(t *testing.T) {
		s := exampleScenario(t, "quickstart")
		s.Requests[0].Headers = map[string]string{"x-a": "true", "x-b": "1e3", "x-c": "~", "x-d": "- a: b # c", "<<": "*x"}
		s.Requests[0].Body = "line\r\n\tline\x00 \u2028 \U0001F6A2 end  \n"
		checkRoundTrip(t, s)
	})
}

func TestMarshalJSONSpelling(t *testing.T) {
	got := mustJSON(t, scenarios.Scenario{
		Metadata:    scenarios.Metadata{Name: "x"},
		Lab:         &scenarios.Lab{Gateway: scenarios.LabProxy{Limits: scenarios.Limits{CPU: 300, Memory: 512 << 20}}},
		Connections: scenarios.Connections{ConnectTimeout: 90 * time.Second},
		Load:        scenarios.Load{Rate: scenarios.PerSecond(2.5), Timeout: 50 * time.Millisecond, Duration: time.Hour},
		Objectives:  []scenarios.Objective{{Quantile: 0.99, Latency: time.Millisecond}, {}},
		Guards:      scenarios.Guards{MaxErrorRatio: 0.2},
	})
	want := `{"metadata":{"name":"x"},"lab":{"gateway":{"limits":{"cpu":"300m","memory":"512Mi"}}},` +
		`"connections":{"connectTimeout":"1m30s"},"load":{"rate":"2.5/s","duration":"1h","timeout":"50ms"},` +
		`"objectives":[{"quantile":0.99,"latency":"1ms"},{"errorRatio":"0%"}],"guards":{"maxErrorRatio":"20%"}}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestUnmarshalJSONIsStrict(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"unknown key":       {`{"metadata": {"nam": "x"}}`, `did you mean "name"?`},
		"duplicate key":     {`{"seed": 1, "seed": 2}`, `duplicate key "seed"`},
		"wrong type":        {`{"seed": "1"}`, "expected a whole number"},
		"deep":              {strings.Repeat(`{"lab":`, 1000) + "1" + strings.Repeat("}", 1000), "nested deeper"},
		"place in the text": {"{\n \"seed\": 1,\n \"sed\": 2}", "    3 |  \"sed\": 2}\n      |  ^"},
		"not a scenario":    {`[1]`, "expected keys and values, found a list"},
		"fractional count":  {`{"connections": {"count": 1.5}}`, "expected a whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			var s scenarios.Scenario
			err := json.Unmarshal([]byte(test.in), &s)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
	var s scenarios.Scenario
	if err := json.Unmarshal([]byte(`{"metadata": {"name": "\ud83d\udea2"}}`), &s); err == nil {
		t.Error("got no error, want one about the name's pattern")
	}
	if err := json.Unmarshal([]byte(`{"requests": [{"body": "\ud83d\udea2"}]}`), &s); err != nil || s.Requests[0].Body != "\U0001F6A2" {
		t.Errorf("got body %q, error %v, want the ship", s.Requests[0].Body, err)
	}
}

func TestPhaseJSON(t *testing.T) {
	phase := scenarios.Phase{
		Name: "steady-3", Kind: scenarios.KindSteady, Process: scenarios.Poisson,
		Rate: scenarios.PerSecond(1234.567), Duration: 12500 * time.Millisecond, Interval: time.Second,
		Seed: 1<<63 + 1, MaxBacklog: 1000, Mix: []float64{0.25, 0.75}, Bunch: 64,
	}
	text, err := json.Marshal(phase)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"steady-3","kind":"steady","process":"poisson","rate":"1234.567/s","durationSeconds":12.5,` +
		`"intervalSeconds":1,"seed":"9223372036854775809","maxBacklog":1000,"mix":[0.25,0.75],"bunch":64}`
	if string(text) != want {
		t.Errorf("\n got %s\nwant %s", text, want)
	}
	var back scenarios.Phase
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, phase) {
		t.Errorf("got %+v, want %+v", back, phase)
	}
	for _, bad := range []string{`{"durationSeconds": -1, "seed": "1"}`, `{"durationSeconds": 1e300, "seed": "1"}`, `{"rate": "5"}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}
