package scenarios_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// local is a target that everything may be sent to.
const local = head + "target: {url: http://127.0.0.1:8080%s}\n"

func target(more string) string { return fmt.Sprintf(local, more) }

func TestValidateTraffic(t *testing.T) {
	const grpc, tls = ", protocol: grpc", head + "target: {url: https://127.0.0.1, tls: {%s}}\n"
	tests := map[string]struct {
		in   string
		want []string // in the error; none: the scenario is valid
	}{
		"HTTP/1.1":                 {target(", protocol: http/1.1"), nil},
		"HTTP/1.1 over TLS":        {head + "target: {url: https://127.0.0.1, protocol: http/1.1}\n", nil},
		"gRPC":                     {target(grpc) + "requests: [{grpc: {method: a.B/C}}]\n", nil},
		"gRPC over TLS":            {head + "target: {url: https://127.0.0.1, protocol: grpc}\nrequests: [{grpc: {method: a.B/C}}]\n", nil},
		"gRPC without a call":      {target(grpc) + "requests: [{path: /}]\n", []string{"f.yaml:5:12: requests[0]: is no gRPC call"}},
		"gRPC without requests":    {target(grpc), []string{"is no gRPC call"}},
		"call without gRPC":        {target("") + "requests: [{grpc: {method: a.B/C}}]\n", []string{"f.yaml:5:19: requests[0].grpc: a gRPC call needs"}},
		"call in the lab":          {minimal + "requests: [{grpc: {method: a.B/C}}]\n", []string{"set target.protocol: grpc"}},
		"call with a path":         {target(grpc) + "requests: [{path: /, body: x, grpc: {method: a.B/C}}]\n", []string{"requests[0].path: follows from", "requests[0].body: follows from"}},
		"call with a status":       {target(grpc) + "requests: [{grpc: {method: a.B/C}, check: {status: \"200\"}}]\n", []string{"judged by its grpc-status"}},
		"call off loopback":        {head + "target: {url: https://shop.example.com, protocol: grpc}\nguards: {maxRate: 5/s}\nrequests: [{grpc: {method: a.B/C}}]\n", []string{"requests[0].grpc: a gRPC call may change the target", "allowMutations"}},
		"no path":                  {minimal + "requests: [{name: a}]\n", []string{"requests[0].path: is missing"}},
		"body twice":               {minimal + "requests: [{path: /, body: a, bodyFile: b}]\n", []string{"body and bodyFile are both given"}},
		"empty check":              {minimal + "requests: [{path: /, check: {}}]\n", []string{"requests[0].check: is empty"}},
		"checks":                   {minimal + "requests: [{path: /, check: {status: \"2xx, 301-304\", header: {etag: \"\"}, body: ok}}]\n", nil},
		"backward statuses":        {minimal + "requests: [{path: /, check: {status: \"204-200\"}}]\n", []string{"f.yaml:5:38: requests[0].check.status", "204-200 ends below its start"}},
		"unquoted status":          {minimal + "requests: [{path: /, check: {status: 200}}]\n", []string{`put it in quotes: "200"`}},
		"two headers checked":      {minimal + "requests: [{path: /, check: {header: {a: x, b: y}}}]\n", []string{"2 headers are given: one can be checked"}},
		"checked header's name":    {minimal + "requests: [{path: /, check: {header: {\"a b\": x}}}]\n", []string{"is not a header name"}},
		"placeholder, no feed":     {minimal + "requests: [{path: \"/${id}\"}]\n", []string{"f.yaml:5:19: requests[0].path: ${id} needs a feed"}},
		"in a header":              {minimal + "requests: [{path: /, headers: {x: \"${id}\"}}]\n", []string{"requests[0].headers.x: ${id} needs a feed"}},
		"escaped placeholder":      {minimal + "requests: [{path: \"/$${id}\", body: \"$${id}\"}]\n", nil},
		"sign without a name":      {minimal + "requests: [{path: /, body: \"${ id }\"}]\n", nil},
		"sign without a name, fed": {minimal + "feed: {file: a.csv}\nrequests: [{path: /, body: \"x ${ id }\"}]\n", []string{`"${ id }" is not a placeholder`}},

		"suites":                 {fmt.Sprintf(tls, "cipherSuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], curves: [P-256, X25519], minVersion: \"1.2\", maxVersion: \"1.2\", resume: true"), nil},
		"suite of 1.3":           {fmt.Sprintf(tls, "cipherSuites: [TLS_AES_128_GCM_SHA256]"), []string{"f.yaml:4:55: target.tls.cipherSuites[0]: TLS_AES_128_GCM_SHA256 is of TLS 1.3"}},
		"misspelt suite":         {fmt.Sprintf(tls, "cipherSuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265]"), []string{"did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256?"}},
		"suites without 1.2":     {fmt.Sprintf(tls, "cipherSuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], minVersion: \"1.3\""), []string{"have no effect on TLS 1.3"}},
		"versions crossed":       {fmt.Sprintf(tls, "minVersion: \"1.3\", maxVersion: \"1.2\""), []string{"target.tls.maxVersion: 1.2 is below minVersion, 1.3"}},
		"misspelt curve":         {fmt.Sprintf(tls, "curves: [P256]"), []string{`did you mean "P-256"?`}},
		"SPIFFE":                 {fmt.Sprintf(tls, "spiffeID: spiffe://cluster.local/ns/a/sa/b"), nil},
		"SPIFFE, insecure":       {fmt.Sprintf(tls, "spiffeID: spiffe://cluster.local/ns/a/sa/b, insecure: true"), []string{"is not checked when any certificate"}},
		"version without quotes": {fmt.Sprintf(tls, "minVersion: 1.3"), []string{`put it in quotes: "1.3"`}},

		"more targets":           {target(", also: [{url: http://127.0.0.2, weight: 0.5}]"), nil},
		"of another scheme":      {target(", also: [{url: https://127.0.0.2}]"), []string{"f.yaml:4:51: target.also[0].url: https:// is not the scheme"}},
		"of another prefix":      {target(", also: [{url: http://127.0.0.2/api}]"), []string{"target.also[0].url: the path prefix is not"}},
		"one off loopback":       {target(", also: [{url: http://127.0.0.2}, {url: http://shop.example.com}]"), []string{"f.yaml:4:76: guards.maxRate: is missing", "shop.example.com:80 is not on loopback"}},
		"one with a bad port":    {target(", also: [{url: http://127.0.0.2, connectTo: \"127.0.0.1:0\"}]"), []string{"target.also[0].connectTo: port 0"}},
		"two off loopback, once": {head + "target: {url: http://a.example, also: [{url: http://b.example}]}\n", []string{"guards.maxRate: is missing"}},
		"weight zero":            {target(", also: [{url: http://127.0.0.2, weight: 0}]"), []string{"must be above 0"}},
		"rates of opening":       {target("") + "connections: {maxRequests: 5, maxAge: 1m, openRate: 5/s, lookUpEvery: 0s}\n", nil},
		"negative":               {target("") + "connections: {maxRequests: -5}\n", []string{"must be at least 0"}},

		"token file":            {target("") + "auth: {tokenFile: t}\n", nil},
		"command":               {target("") + "auth: {exec: [a, b], header: x-token, scheme: none}\n", nil},
		"OAuth":                 {target("") + "auth: {oauth2ClientCredentials: {tokenURL: https://a.example/t, clientID: b, clientSecretFile: c, scopes: [d]}}\n", nil},
		"two credentials":       {target("") + "auth: {tokenFile: t, exec: [a]}\n", []string{"f.yaml:5:7: auth: 2 credentials are given"}},
		"no credential":         {target("") + "auth: {}\n", []string{"auth: 0 credentials are given"}},
		"empty command":         {target("") + "auth: {exec: [\"\"]}\n", []string{"auth.exec: the command is empty"}},
		"secret in cleartext":   {target("") + "auth: {oauth2ClientCredentials: {tokenURL: http://a.example/t, clientID: b, clientSecretFile: c}}\n", []string{"in cleartext"}},
		"password in token URL": {target("") + "auth: {oauth2ClientCredentials: {tokenURL: https://me:secret@a.example/t, clientID: b, clientSecretFile: c}}\n", []string{"is not allowed here"}},
		"header of a request":   {target("") + "auth: {tokenFile: t}\nrequests: [{path: /, headers: {Authorization: x}}]\n", []string{"requests[0].headers.Authorization: auth sets this header"}},
		"header of the host":    {target("") + "auth: {tokenFile: t, header: Host}\n", []string{"can't carry a credential"}},
	}
	checkValidity(t, tests)
}

func checkValidity(t *testing.T, tests map[string]struct {
	in   string
	want []string
}) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := decodeAndValidate("f.yaml", []byte(test.in))
			if len(test.want) == 0 {
				if err != nil {
					t.Errorf("got error\n%v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range test.want {
				if strings.Count(err.Error(), want) != 1 {
					t.Errorf("got\n%v\nwant %q in it once", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret@") {
				t.Error("the message shows a password")
			}
		})
	}
}

func TestValidateShapes(t *testing.T) {
	load := func(text string) string { return minimal + "guards: {maxRate: 100/s}\nload: {" + text + "}\n" }
	checkValidity(t, map[string]struct {
		in   string
		want []string
	}{
		"ramp":                 {load("shape: {ramp: {from: 5/s, to: 100/s}}"), nil},
		"ramp above":           {load("shape: {ramp: {from: 5/s, to: 101/s}}"), []string{"f.yaml:6:15: load.shape: its peak of 101/s is above guards.maxRate, 100/s"}},
		"ramp of nothing":      {load("shape: {ramp: {}}"), []string{"goes from nothing to nothing"}},
		"ramp with a rate":     {load("rate: 5/s, shape: {ramp: {to: 5/s}}"), []string{"load.rate: the rates of a ramp are its own"}},
		"two":                  {load("rate: 5/s, shape: {ramp: {to: 5/s}, spike: {rate: 6/s, for: 1s}}"), []string{"2 shapes are given"}},
		"none":                 {load("shape: {}"), []string{"0 shapes are given"}},
		"steps":                {load("shape: {steps: [{for: 1s}, {rate: 5/s, for: 2s}]}"), nil},
		"steps of nothing":     {load("shape: {steps: [{for: 1s}]}"), []string{"nothing is ever sent"}},
		"no steps":             {load("shape: {steps: []}"), []string{"nothing is ever sent"}},
		"steps too long":       {load("duration: 2s, shape: {steps: [{rate: 1/s, for: 1s}, {rate: 5/s, for: 2s}]}"), []string{"last 3s together, longer than load.duration, 2s"}},
		"spike":                {load("rate: 5/s, duration: 3s, shape: {spike: {rate: 50/s, at: 1s, for: 2s}}"), nil},
		"spike too late":       {load("rate: 5/s, duration: 3s, shape: {spike: {rate: 50/s, at: 2s, for: 2s}}"), []string{"ends at 4s, after load.duration, 3s"}},
		"spike above":          {load("rate: 5/s, shape: {spike: {rate: 500/s, at: 2s, for: 2s}}"), []string{"its peak of 500/s"}},
		"spike of nothing":     {load("shape: {spike: {rate: 50/s, for: 2s}}"), []string{"load.rate: is missing: a spike needs it"}},
		"sine":                 {load("rate: 50/s, shape: {sine: {amplitude: 50/s, period: 60s}}"), nil},
		"sine above":           {load("rate: 60/s, shape: {sine: {amplitude: 50/s, period: 60s}}"), []string{"its peak of 110/s"}},
		"sine below zero":      {load("rate: 5/s, shape: {sine: {amplitude: 6/s, period: 60s}}"), []string{"the rate would fall below zero"}},
		"too many swings":      {load("rate: 5/s, duration: 1h, shape: {sine: {amplitude: 5/s, period: 1s}}"), []string{"more than 1000 periods of 1s"}},
		"replay":               {load("shape: {replay: {file: a.csv}}"), nil},
		"replay of a query":    {load("shape: {replay: {query: x, last: 1h}}") + "observe: {prometheus: http://127.0.0.1:9090}\n", nil},
		"query, no Prometheus": {load("shape: {replay: {query: x, last: 1h}}"), []string{"needs a Prometheus to ask"}},
		"query without time":   {load("shape: {replay: {query: x}}") + "observe: {prometheus: http://127.0.0.1:9090}\n", []string{"load.shape.replay.last: is missing"}},
		"both of a replay":     {load("shape: {replay: {query: x, file: a.csv, last: 1h}}"), []string{"exactly one of file and query"}},
		"last of a file":       {load("shape: {replay: {file: a.csv, last: 1h}}"), []string{"is for a query only"}},
		"closed":               {load("arrivals: closed, shape: {ramp: {to: 5/s}}"), []string{"load.shape: a closed loop has no rate that could change"}},
	})
}

func TestSplitTemplate(t *testing.T) {
	for _, tt := range []struct {
		in    string
		want  string // texts, and names in brackets
		stray int
	}{
		{"", "", -1}, {"plain", "plain", -1}, {"${a}", "[a]", -1}, {"x${a.b-c_1}y", "x[a.b-c_1]y", -1}, {"${a}${b}", "[a][b]", -1},
		{"$${a}", "${a}", -1}, {"$$${a}", "$${a}", -1}, {"${", "${", 0}, {"a${}b", "a${}b", 1}, {"${1}", "${1}", 0}, {"${a b}${c}", "${a b}[c]", 0},
		{"$", "$", -1}, {"$$", "$$", -1}, {"{a}", "{a}", -1}, {"${${a}", "${[a]", 0}, {"${ä}", "${ä}", 0},
	} {
		parts, stray := scenarios.SplitTemplate(tt.in)
		got := ""
		for _, part := range parts {
			if part.Name != "" {
				got += "[" + part.Name + "]"
			}
			got += part.Text
		}
		if got != tt.want || stray != tt.stray {
			t.Errorf("%q: got %q, stray %d, want %q, %d", tt.in, got, stray, tt.want, tt.stray)
		}
	}
}

func TestParseStatuses(t *testing.T) {
	got, err := scenarios.ParseStatuses(" 200 , 3xx,401 - 403")
	want := []scenarios.StatusRange{{From: 200, To: 200}, {From: 300, To: 399}, {From: 401, To: 403}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, error %v, want %v", got, err, want)
	}
	if got, err := scenarios.ParseStatuses(""); got != nil || err != nil {
		t.Errorf("nothing: got %v, error %v", got, err)
	}
	for _, bad := range []string{"20", "600", "099", "6xx", "200-", "-200", "200,,201", "ok", "300-200", "200;201"} {
		if got, err := scenarios.ParseStatuses(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}

// in writes files into a folder and returns it.
func in(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), text)
	}
	return dir
}

func TestResolveTraffic(t *testing.T) {
	dir := in(t, exampleFiles())
	plan := resolveIn(t, dir, head+`target: {url: "http://127.0.0.1:1/api", also: [{url: "http://127.0.0.2/api/", connectTo: "127.0.0.3:9"}]}
auth: {exec: [bin/token, --x], header: X-Token}
feed: {file: users.csv}
load: {traceShare: 1%}
requests: [{path: "/${id}", bodyFile: order.json, method: POST}]
`)
	if e := plan.Endpoint; len(e.Also) != 1 || e.Also[0].Address != "127.0.0.3:9" || e.Also[0].Authority != "127.0.0.2" || e.Also[0].Weight != 1 || e.Also[0].Path != "/api" || e.Also[0].Protocol != scenarios.ProtocolH2C {
		t.Errorf("got endpoint %+v", e)
	}
	if want := []string{filepath.Join(dir, "bin/token"), "--x"}; !slices.Equal(plan.Auth.Exec, want) || plan.Auth.Scheme != "Bearer" {
		t.Errorf("got auth %+v, want command %q", plan.Auth, want)
	}
	if plan.Feed.File != filepath.Join(dir, "users.csv") || plan.Feed.Order != scenarios.FeedInTurn || plan.TraceShare != 0.01 {
		t.Errorf("got feed %+v, trace share %v", plan.Feed, plan.TraceShare)
	}
	if r := plan.Requests[0]; r.Path != "/${id}" || r.Body != `{"user": "${id}"}` || r.BodyFile != "" {
		t.Errorf("got request %+v, want the template and the file's body", r)
	}
	call := resolveIn(t, dir, target(", protocol: grpc")+"requests: [{grpc: {method: a.B/C, message: \"$${}\", descriptorSet: shop.pb}}]\n").Requests[0]
	if call.Method != "POST" || call.Path != "/a.B/C" || call.GRPC.DescriptorSet != filepath.Join(dir, "shop.pb") || call.GRPC.Message != "${}" {
		t.Errorf("got call %+v, %+v", call, call.GRPC)
	}
	plain := resolveIn(t, dir, minimal+"requests: [{path: \"/$${id}\", headers: {x: \"$${y}\"}, bodyFile: order.json}]\n").Requests[0]
	if plain.Path != "/${id}" || plain.Headers["x"] != "${y}" || plain.Body != `{"user": "${id}"}` {
		t.Errorf("got request %+v, want everything as it is sent", plain)
	}
}

func TestValidateFiles(t *testing.T) {
	dir := in(t, map[string]string{
		"users.csv": "id,name\n1,2\n", "rows.jsonl": "\n{\"id\": 1, \"tag\": 2}\n", "empty.csv": "", "list.jsonl": "[1]\n",
		"bad.csv": "a,\"b\nc", "body.json": `{"x": "${nme}", "y": "${ no }"}`,
		"curve.csv": "seconds,rate\n0,10\n60,30\n", "times.csv": "time,rate\n2026-01-01T00:00:00Z,10\n2026-01-01T00:01:00+00:00,20\n",
		"headless.csv": "0,10\n60,30\n", "words.csv": "s,r\n0,ten\n", "one.csv": "s,r\n0,10\n", "negative.csv": "s,r\n0,10\n1,-1\n",
	})
	large, err := os.Create(filepath.Join(dir, "large"))
	if err != nil {
		t.Fatal(err)
	}
	if err := large.Truncate(64<<20 + 1); err != nil { // takes no room on the disk
		t.Fatal(err)
	}
	large.Close()
	replay := func(text string) string {
		return minimal + "guards: {maxRate: 40/s}\nload: {shape: {replay: {" + text + "}}}\n"
	}
	for name, tt := range map[string]struct{ in, want string }{
		"CA":                {head + "target: {url: https://127.0.0.1, tls: {caFile: no.pem}}\n", "f.yaml:4:48: target.tls.caFile: stat " + dir + "/no.pem: no such file"},
		"a folder":          {head + "target: {url: https://127.0.0.1, tls: {caFile: .}}\n", "is a folder"},
		"token":             {minimal + "auth: {tokenFile: no}\n", "auth.tokenFile: stat"},
		"body":              {minimal + "requests: [{path: /, bodyFile: no.json}]\n", "f.yaml:5:32: requests[0].bodyFile: stat"},
		"large body":        {minimal + "requests: [{path: /, bodyFile: large}]\n", "large has more than the limit of 64.0 MiB"},
		"device":            {minimal + "requests: [{path: /, bodyFile: /dev/zero}]\n", "/dev/zero is not a plain file"},
		"feed":              {minimal + "feed: {file: no.csv}\n", "f.yaml:5:14: feed.file: stat"},
		"empty feed":        {minimal + "feed: {file: empty.csv}\n", "empty.csv is empty"},
		"feed of no object": {minimal + "feed: {file: list.jsonl}\n", "the first row is no JSON object"},
		"broken feed":       {minimal + "feed: {file: bad.csv}\n", "bad.csv: record on line 1"},
		"column":            {minimal + "feed: {file: users.csv}\nrequests: [{path: \"/${nane}\"}]\n", "f.yaml:6:19: requests[0].path: users.csv has no ${nane}"},
		"hint":              {minimal + "feed: {file: users.csv}\nrequests: [{path: \"/${nane}\"}]\n", "did you mean ${name}?"},
		"member":            {minimal + "feed: {file: rows.jsonl}\nrequests: [{path: /, headers: {x: \"${name}\"}}]\n", "it has: id, tag"},
		"in a body file":    {minimal + "feed: {file: users.csv}\nrequests: [{path: /, bodyFile: body.json}]\n", "requests[0].bodyFile: users.csv has no ${nme}"},
		"columns":           {minimal + "feed: {file: rows.jsonl}\nrequests: [{path: \"/${id}\", body: \"${tag}\"}]\n", ""},
		"curve":             {replay("file: curve.csv"), ""},
		"curve above":       {replay("file: curve.csv, scale: 2"), "its peak of 60/s is above guards.maxRate, 40/s"},
		"times":             {replay("file: times.csv, scale: 2"), ""},
		"no header line":    {replay("file: headless.csv"), "headless.csv:1: a header line is missing"},
		"words":             {replay("file: words.csv"), `words.csv:2: rate "ten" is not a number`},
		"one row":           {replay("file: one.csv"), "1 samples make no curve"},
		"below zero":        {replay("file: negative.csv"), "rate of -1/s at 1s"},
		"longer than it":    {strings.Replace(replay("file: curve.csv"), "load: {", "load: {duration: 61s, ", 1), "the curve lasts 1m0s, which is shorter than the load, 1m1s"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := scenarios.Decode(filepath.Join(dir, "f.yaml"), []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			full := scenarios.Defaults(*s)
			if err := scenarios.Validate(full); err != nil {
				t.Fatal(err)
			}
			err = scenarios.ValidateFiles(full)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got error %v, want %q in it", err, tt.want)
			}
			if _, resolved := scenarios.Resolve(*s); (resolved == nil) != (err == nil) {
				t.Errorf("Resolve says %v, ValidateFiles %v", resolved, err)
			}
		})
	}
}

func TestDefaultsDoNotReachTraffic(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(map[string]bool{"run": true, "grpc": true, "shape": true})) {
		s := exampleScenario(t, name)
		before := mustJSON(t, s)
		full := scenarios.Defaults(s)
		if full.Auth != nil {
			full.Auth.TokenFile = "changed"
			full.Requests[0].Check.Header["content-type"] = "changed"
		}
		if full.Feed != nil {
			full.Feed.File = "changed"
		}
		if full.Requests[0].GRPC != nil {
			full.Requests[0].GRPC.Method = "changed"
		}
		if full.Load.Shape != nil {
			full.Load.Shape.Spike.At = time.Hour
		}
		if after := mustJSON(t, s); after != before {
			t.Errorf("%s\n got %s\nwant %s", name, after, before)
		}
	}
}
