package cli

import (
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/reports/manifests"
)

func TestExampleNote(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  string
	}{
		{nil, ""},
		{[]string{"a.yaml", "patches/b.yaml"}, ""},
		{[]string{"a.yaml", "keda.yaml.example"}, "1 of 2 manifests are examples"},
		{[]string{"a.yaml.example", "helm/b.yaml.example"}, "The manifests are examples"},
	} {
		var files []manifests.File
		for _, name := range c.files {
			files = append(files, manifests.File{Name: name})
		}
		if got := exampleNote(files); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%q: got %q, want %q", c.files, got, c.want)
		}
	}
}
