package feed_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/feed"
	"github.com/sailplan-io/sailplan/scenarios"
)

// fuzzFile wants rows or an error from any file, and nothing but what is asked
// for in a path, a header and a JSON body.
func fuzzFile(t *testing.T, name, text string) {
	o := options(write(t, name, text), scenarios.FeedInTurn, scenarios.Request{
		Path: "/${id}", Headers: map[string]string{"x": "${name}"}, Body: `{"a": "${id}", "b": ${name}, "c": "${name}"}`,
	})
	f, err := feed.Open(t.Context(), o)
	if err != nil {
		return
	}
	defer f.Close()
	for range 1000 {
		v, err := next(f, 0)
		if err != nil {
			if errors.Is(err, feed.ErrEnd) || !strings.Contains(err.Error(), name) {
				t.Errorf("got error %v, want one that names the file", err)
			}
			return
		}
		if u, err := url.ParseRequestURI(v.Path); err != nil || strings.Count(v.Path, "/") != 1 || u.RawQuery != "" {
			t.Errorf("path %q: %v", v.Path, err)
		}
		for _, field := range v.Fields {
			if strings.ContainsAny(field.Value, "\r\n\x00") || strings.Trim(field.Value, " \t") != field.Value {
				t.Errorf("header %s: %q", field.Name, field.Value)
			}
		}
		if !json.Valid(v.Body) {
			t.Errorf("body %q is no JSON", v.Body)
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, text := range []string{"id,name\n1,2\n", "name,id\r\n\"1\",\"a,\"\"b\n\"\n", "\ufeffid,name\n,null\n", "id,name\n1\n", "id,name\n\"", "id,name\n\xff,\"[1, \"\"\xff\"\"]\"\n", "id,name\n/?#%,\"{}\"\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { fuzzFile(t, "f.csv", text) })
}

func FuzzJSONLines(f *testing.F) {
	for _, text := range []string{`{"id":1,"name":"2"}`, "\n{\"name\":null,\"id\":\"\\ud800\"}\r\n\n", `{"id":{"a":[1, 2]},"name":1e5}`, "null", "{}", `{"id":"a/b","name":" [\"x\"] "}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { fuzzFile(t, "f.jsonl", text) })
}
