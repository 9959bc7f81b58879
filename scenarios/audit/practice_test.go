package audit_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios/audit"
)

func auditFile(t *testing.T, name string) audit.Result {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "checklist", name))
	if err != nil {
		t.Fatal(err)
	}
	result := audit.Audit([]audit.File{{Name: name, Data: content}}, audit.Measured{})
	if len(result.Unreadable) > 0 {
		t.Fatalf("could not be read: %+v", result.Unreadable)
	}
	return result
}

// TestPractices holds every practice to a mesh that meets all of them, to one that
// meets none, and to no mesh at all.
func TestPractices(t *testing.T) {
	// What files cannot show to be met, and cannot show not to be.
	neverMet := []string{"circuit breakers were tried before production"}
	neverNotMet := append([]string{
		"what no policy allows is denied", "calls to the outside are limited in rate", "configuration comes from version control, and can be restored",
		"a second cluster can take over", "releases can be tried on a part of the traffic",
	}, neverMet...)
	for _, test := range []struct {
		file   string
		want   audit.Status
		except []string // are not decidable
	}{
		{"met.yaml", audit.Met, neverMet},
		{"not-met.yaml", audit.NotMet, append([]string{"metrics, logs and traces are collected"}, neverNotMet...)},
		{"nothing.yaml", audit.Undecidable, nil},
	} {
		t.Run(test.file, func(t *testing.T) {
			result := auditFile(t, test.file)
			for _, p := range result.Practices {
				want := test.want
				if slices.Contains(test.except, p.Name) {
					want = audit.Undecidable
				}
				if p.Status != want {
					t.Errorf("%s: got %s (%s, %+v), want %s", p.Name, p.Status, p.Why, p.Evidence, want)
				}
				if p.Why == "" || (len(p.Evidence) == 0) != (p.Status == audit.Undecidable) {
					t.Errorf("%s: %s because %q, with evidence %+v", p.Name, p.Status, p.Why, p.Evidence)
				}
				for _, e := range p.Evidence {
					if e.Line < 1 || e.File != test.file || e.Text == "" || strings.Contains(e.Text, "%!") {
						t.Errorf("%s: evidence %+v lacks something", p.Name, e)
					}
				}
			}
		})
	}
}

// TestGoodMeshHasNoFindings: what follows every practice is not complained about.
func TestGoodMeshHasNoFindings(t *testing.T) {
	for _, f := range auditFile(t, "met.yaml").Findings {
		t.Errorf("%s:%d: %s %s: %s", f.File, f.Line, f.Code, f.Severity, f.Message)
	}
}
