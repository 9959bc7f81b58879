package mesh_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// TestHostileFiles feeds files that are made to take long or to break the
// reader. What matters is that each comes back with an answer.
func TestHostileFiles(t *testing.T) {
	rules := manyRules(2 << 20)
	for name, test := range map[string]struct {
		in   []byte
		want string // in the error; empty for none
	}{
		"2 MB of rules":       {rules, ""},
		"2 MB of wrong rules": {bytes.ReplaceAll(rules, []byte("http:"), []byte("htp:")), `did you mean "http"?`},
		"duplicate keys":      {[]byte(strings.Repeat("a: 1\n", 200_000)), "duplicate key"},
		"empty lists":         {[]byte("[" + strings.Repeat("[],", 600_000) + "]"), "more than 500000 values"},
		"merge keys":          {[]byte("a: &a {b: 1}\nc:\n" + strings.Repeat("  <<: *a\n", 200_000)), "more than 500000 values"},
		"merge list":          {[]byte("a: &a {b: 1}\nc: {<<: [" + strings.Repeat("*a,", 300_000) + "]}\n"), "more than 500000 values"},
		"documents":           {bytes.Repeat([]byte("---\n"), 1<<20), "more than 100000 documents"},
		"braces":              {bytes.Repeat([]byte("{"), 1<<20), "not valid YAML"},
		"questions":           {bytes.Repeat([]byte("? "), 1<<20), "not valid YAML"},
		"anchors":             {bytes.Repeat([]byte("&a "), 1<<19), "not valid YAML"},
		"open quote":          {[]byte(`"` + strings.Repeat("a\n", 1<<19)), "not valid YAML"},
		"zero bytes":          {make([]byte, 2<<20), "not valid YAML"},
		"special characters":  {bytes.Repeat([]byte("%&*!@`[]{}|>\n"), 1<<17), "not valid YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mesh.Parse("hostile.yaml", test.in)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got error %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %.500v, want one with %q", err, test.want)
			}
		})
	}
}

// manyRules returns a file of the size made of documents that each hold a rule.
func manyRules(size int) []byte {
	one := []byte("---\n" + withPolicy("connectionPool: {http: {http2MaxRequests: 5}}"))
	return bytes.Repeat(one, size/len(one))
}

func BenchmarkParse(b *testing.B) {
	in := manyRules(10 << 20)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mesh.Parse("rules.yaml", in); err != nil {
			b.Fatal(err)
		}
	}
}
