package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios"
)

// TestRunFileHoldsNoSecret looks for each secret of a scenario in the whole file.
func TestRunFileHoldsNoSecret(t *testing.T) {
	long := strings.Repeat("LONG", 100)
	run := exampleHeader()
	run.Scenario.Lab = nil
	run.Scenario.Target = &scenarios.Target{
		URL:  "https://user:SECRET0@shop.example.com/?token=SECRET1",
		Also: []scenarios.OtherTarget{{URL: "https://SECRET2@shop-2.example.com"}},
	}
	run.Scenario.Auth = &scenarios.Auth{OAuth2: &scenarios.OAuth2{TokenURL: "https://login.example.com/token?client_secret=SECRETf"}}
	run.Scenario.Observe.Prometheus = "http://u:SECRET3@prometheus:9090"
	run.Scenario.Observe.Components = []scenarios.ObservedComponent{{Name: "gateway", Admin: "http://u:SECRET4@127.0.0.1:15000"}}
	run.Scenario.Requests = []scenarios.Request{
		{
			Name: "get", Path: "/p?q=sail&access_token=SECRET5&X-Amz-Signature=SECRET6&api_key=SECRET7&keyword=boat&id=${id}",
			Headers: map[string]string{
				"Authorization": "Bearer SECRET8", "cookie": "SECRET9", "X-API-Key": "SECRETa", "proxy-authorization": "SECRETb",
				"X-Corp": "SECRETc", "accept": "text/html",
			},
			SecretHeaders: []string{"x-corp"},
		},
		{Name: "put", Path: "/p", Body: "SECRETd", Secret: true, GRPC: &scenarios.Call{Method: "a.B/C", Message: "SECRETe"}},
		{Name: "long", Path: "/p", Body: long},
		{Name: "short", Path: "/p", Body: "name=sail"},
	}
	dir := filepath.Join(t.TempDir(), "run")
	w, err := create(dir, run, exampleAnchor(), openFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, runFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"SECRET", "LONG"} {
		if at := strings.Index(string(text), secret); at >= 0 {
			t.Errorf("run.json holds …%s…", text[max(0, at-60):min(len(text), at+20)])
		}
	}
	got, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	requests := got.Scenario.Requests
	// The hashes are sha256sum's.
	for what, is := range map[string][2]string{
		"path":        {requests[0].Path, "/p?q=sail&access_token=withheld&X-Amz-Signature=withheld&api_key=withheld&keyword=boat&id=${id}"},
		"header":      {requests[0].Headers["accept"], "text/html"},
		"secret body": {requests[1].Body, "withheld: 7 bytes, SHA-256 f57e82ce8f545ed5d38754651ac9684d072d1dae340a060ccc60d0615a9cbd13"},
		"secret call": {requests[1].GRPC.Message, "withheld: 7 bytes, SHA-256 2d8f9f3197ab4b7e976409fdf028a0923bf357ca568b1fd772588644a6cd950c"},
		"long body":   {requests[2].Body, "withheld: 400 bytes, SHA-256 3d27b3428ba329b9ca74ee5d3bcc888e97fbe551ad7b1ab8f9b5c971e333ff3f"},
		"short body":  {requests[3].Body, "name=sail"},
		"target":      {got.Scenario.Target.URL, "https://withheld@shop.example.com/?token=withheld"},
	} {
		if is[0] != is[1] {
			t.Errorf("%s = %q, want %q", what, is[0], is[1])
		}
	}
	if run.Scenario.Requests[0].Headers["cookie"] != "SECRET9" || run.Scenario.Target.URL == got.Scenario.Target.URL {
		t.Error("the caller's scenario was changed")
	}
}

func TestMaskQuery(t *testing.T) {
	for in, want := range map[string]string{
		"/p":                            "/p",
		"/p?":                           "/p?",
		"/p?token":                      "/p?token",
		"/p?a=1&Token=x&b=2":            "/p?a=1&Token=withheld&b=2",
		"/p?to%6ben=x":                  "/p?to%6ben=withheld",
		"/p?client_secret=a=b#part":     "/p?client_secret=withheld#part",
		"/p?monkeys=3&keyword=a&q=${x}": "/p?monkeys=3&keyword=a&q=${x}",
		"/p?sig=x&password=y&pwd=z":     "/p?sig=withheld&password=withheld&pwd=withheld",
	} {
		if got := maskQuery(in); got != want {
			t.Errorf("maskQuery(%q) = %q, want %q", in, got, want)
		}
	}
}
