package scenarios_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios"
)

// minimal is the shortest valid scenario.
const minimal = "apiVersion: sailplan.io/v1\nkind: Scenario\nmetadata: {name: x}\nlab: {}\n"

func TestDecodeErrors(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string // in the message, one for each problem at least
	}{
		"empty":                 {"", []string{"f.yaml:1:1: the scenario is empty"}},
		"only a comment":        {"# nothing\n", []string{"the scenario is empty"}},
		"no version, no kind":   {"lab: {}\n", []string{"f.yaml:1:1: apiVersion: is missing", "write kind: Scenario"}},
		"two documents":         {minimal + "---\n" + minimal, []string{"f.yaml:6:1: a second document"}},
		"misspelt key":          {minimal + "connections:\n  cout: 8\n", []string{"f.yaml:6:3: connections.cout: unknown key", "    6 |   cout: 8\n      |   ^", `did you mean "count"?`}},
		"wrong case":            {minimal + "connections: {streamsperconnection: 8}\n", []string{`did you mean "streamsPerConnection"?`}},
		"key of another place":  {minimal + "connections: {timeout: 5s}\n", []string{`"timeout" belongs at load.timeout`}},
		"key nobody knows":      {minimal + "load: {zzz: 1}\n", []string{"known here: arrivals, duration, pacing, rate, shape, timeout, traceShare, warmUp"}},
		"duplicate key":         {minimal + "seed: 1\nseed: 2\n", []string{`f.yaml:6:1: duplicate key "seed": it is already on line 5`}},
		"all problems at once":  {minimal + "load: {rate: 5000, duration: 60, arrivals: poison}\n", []string{"f.yaml:5:14: load.rate", "f.yaml:5:30: load.duration", "f.yaml:5:44: load.arrivals"}},
		"rate without unit":     {minimal + "load: {rate: 5000}\n", []string{"has no unit", "write 5000/s"}},
		"rate with odd unit":    {minimal + "load: {rate: 5/d}\n", []string{`unknown unit "d"`}},
		"duration without unit": {minimal + "load: {duration: 60}\n", []string{"write 60s for seconds, 60ms for milliseconds"}},
		"duration in days":      {minimal + "load: {duration: 1d}\n", []string{"days are written in hours"}},
		"negative duration":     {minimal + "load: {warmUp: -1s}\n", []string{`found "-1s"`}},
		"megabytes":             {minimal + "guards: {}\n" + "observe: {components: [{name: a, role: service, pid: 1, limits: {memory: 512MB}}]}\n", []string{"have no B"}},
		"milli bytes":           {strings.Replace(minimal, "{}", "{service: {responseBytes: 512m}}", 1), []string{"m means a thousandth"}},
		"cpu too fine":          {strings.Replace(minimal, "{}", "{gateway: {limits: {cpu: 0.0005}}}", 1), []string{"not a Kubernetes quantity in cores"}},
		"text for a number":     {minimal + "connections: {count: \"8\"}\n", []string{"expected a whole number", "without quotes"}},
		"number for text":       {strings.Replace(minimal, "name: x", "name: 12", 1), []string{`put it in quotes: "12"`}},
		"yes for true":          {minimal + "guards: {allowMutations: yes}\n", []string{"write true or false"}},
		"hexadecimal":           {minimal + "seed: 0x10\n", []string{"expected a whole number"}},
		"infinite weight":       {minimal + "requests: [{path: /, weight: .inf}]\n", []string{"expected a number"}},
		"scalar for a list":     {minimal + "requests: x\n", []string{"expected a list", "write [x]"}},
		"list for a mapping":    {minimal + "load: [1]\n", []string{"expected keys and values, found a list"}},
		"mapping for a scalar":  {minimal + "seed: {a: 1}\n", []string{"expected a whole number, found keys and values"}},
		"no value":              {strings.Replace(minimal, " {}", "", 1), []string{"f.yaml:4:5: lab: there is no value", "write {} behind it"}},
		"unknown protocol":      {"target: {url: http://localhost, protocol: h2cc}", []string{`did you mean "h2c"?`}},
		"quantile in percent":   {minimal + "objectives: [{quantile: 99, latency: 1s}]\n", []string{"must be above 0 and below 1, found 99"}},
		"weight zero":           {minimal + "requests: [{path: /, weight: 0}]\n", []string{"must be above 0"}},
		"weight negative":       {minimal + "requests: [{path: /, weight: -1}]\n", []string{"must be above 0"}},
		"zone zero":             {minimal + "demand: {zones: 0}\n", []string{"must be at least 1"}},
		"service's short name":  {"target: {url: http://localhost, service: shop}", []string{`"shop" is not allowed here`}},
		"path with a space":     {minimal + "requests: [{path: /a b}]\n", []string{`"/a b" is not allowed here`}},
		"not YAML":              {minimal + "a: b: c\n", []string{"f.yaml:5:1: not valid YAML"}},
		"tab":                   {minimal + "load:\n\trate: 5/s\n", []string{"not valid YAML", "indented with spaces"}},
		"unknown anchor":        {minimal + "\nseed: *nobody\n", []string{"f.yaml:6:1: not valid YAML: unknown anchor"}},
		"alias to itself":       {"lab: &a {gateway: *a}\n", []string{"nested deeper than 32 levels"}},
		"merge of a scalar":     {minimal + "load: {<<: 1}\n", []string{"a merge key (<<) takes a mapping"}},
		"key is a list":         {minimal + "[a]: 1\n", []string{"a key must be plain text"}},
		"not UTF-8":             {minimal + "seed: \xff\xfe\n", []string{"not valid YAML"}},
		"zero bytes":            {"\x00\x00", []string{"not valid YAML"}},
		"escape codes":          {minimal + "load: {\"\\e[2J\": 1}\n", []string{"unknown key"}},
		"too large":             {strings.Repeat("# comment\n", 200_000), []string{"f.yaml: the file has 1.9 MiB, more than the limit of 1.0 MiB"}},
		"too deep":              {strings.Repeat("[", 50) + strings.Repeat("]", 50), []string{"nested deeper than 32 levels"}},
		"far too deep":          {strings.Repeat("[", 50_000), []string{"not valid YAML"}},
		"alias bomb":            {aliasBomb(), []string{"more than 50000 values, aliases expanded"}},
		"many problems":         {minimal + manyUnknownKeys(500), []string{"and 80 more"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := scenarios.Decode("f.yaml", []byte(test.in))
			if err == nil {
				t.Fatal("got no error")
			}
			var problems scenarios.Errors
			if !errors.As(err, &problems) {
				t.Errorf("got an error of type %T, want Errors", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got\n%v\nwant %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "\x1b") {
				t.Error("the message carries an escape code of the file")
			}
		})
	}
}

func aliasBomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

func manyUnknownKeys(n int) string {
	var b strings.Builder
	b.WriteString("load:\n")
	for i := range n {
		fmt.Fprintf(&b, "  key%d: 1\n", i)
	}
	return b.String()
}

func TestDecodeAliases(t *testing.T) {
	const text = minimal + `requests:
  - &first {path: /a, weight: 3, headers: &h {accept: text/plain}}
  - {<<: *first, path: /b}
  - {<<: [{path: /c}, *first], headers: *h}
`
	s, err := scenarios.Decode("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"/a 3 text/plain", "/b 3 text/plain", "/c 3 text/plain"} {
		r := s.Requests[i]
		if got := fmt.Sprint(r.Path, " ", r.Weight, " ", r.Headers["accept"]); got != want {
			t.Errorf("request %d: got %s, want %s", i, got, want)
		}
	}
}

func TestDecodeDir(t *testing.T) {
	s, err := scenarios.Decode("plans/shop/s.yaml", []byte(strings.Replace(minimal, "{}", "{policy: [dr.yaml, /etc/dr.yaml]}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(s.PolicyFiles()), "[plans/shop/dr.yaml /etc/dr.yaml]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestExcerptOfALongLine(t *testing.T) {
	in := minimal + "requests: [" + strings.Repeat("{path: /, name: a}, ", 50) + "{pth: /}]\n"
	_, err := scenarios.Decode("f.yaml", []byte(in))
	if err == nil {
		t.Fatal("got no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) < 3 {
		t.Fatalf("got %q, want an excerpt", err)
	}
	text, mark := []rune(lines[1]), []rune(lines[2])
	if len(text) > 120 {
		t.Errorf("got an excerpt of %d characters, want at most 120", len(text))
	}
	if at := len(mark) - 1; at >= len(text) || !strings.HasPrefix(string(text[at:]), "pth") {
		t.Errorf("the mark is not under the key:\n%s\n%s", lines[1], lines[2])
	}
}
