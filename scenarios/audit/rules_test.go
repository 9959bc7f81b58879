package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sailplan-io/sailplan/scenarios/audit"
)

// want marks a line of a case on which a rule has a finding: "# want SP012", or
// "# want SP012 error" where the severity is not the rule's.
var want = regexp.MustCompile(`# want (SP\d{3})(?: (error|warning|info))?`)

// TestRules goes through testdata/rules: a file a rule, with named cases. In each
// case the rule has findings on the lines that are marked, and nowhere else.
func TestRules(t *testing.T) {
	for _, rule := range audit.Rules() {
		archive, err := txtar.ParseFile(filepath.Join("testdata", "rules", rule.Code+".txtar"))
		if err != nil {
			t.Errorf("%s %s has no cases: %v", rule.Code, rule.Name, err)
			continue
		}
		bad, good := 0, 0
		for _, c := range archive.Files {
			t.Run(rule.Code+"/"+c.Name, func(t *testing.T) {
				marked := markedLines(string(c.Data), rule)
				result := audit.Audit([]audit.File{{Name: "case.yaml", Data: c.Data}}, measuredFor(rule.Code))
				if len(result.Unreadable) > 0 {
					t.Fatalf("could not be read: %+v", result.Unreadable)
				}
				var got []string
				for _, f := range result.Findings {
					if f.Code == rule.Code {
						got = append(got, fmt.Sprintf("%d %s", f.Line, f.Severity))
						if f.Message == "" || f.File != "case.yaml" || f.Column < 1 || strings.Contains(f.Message, "%!") {
							t.Errorf("finding %+v lacks something", f)
						}
					}
				}
				slices.Sort(got)
				slices.Sort(marked)
				if !slices.Equal(got, marked) {
					t.Errorf("got findings %q, want %q", got, marked)
				}
				if len(marked) > 0 {
					bad++
				} else {
					good++
				}
			})
		}
		if bad == 0 || good == 0 {
			t.Errorf("%s has %d cases with findings and %d without, want both", rule.Code, bad, good)
		}
	}
}

func markedLines(text string, rule audit.Rule) []string {
	marked := []string{}
	for i, line := range strings.Split(text, "\n") {
		for _, match := range want.FindAllStringSubmatch(line, -1) {
			severity := string(rule.Severity)
			if match[2] != "" {
				severity = match[2]
			}
			if match[1] == rule.Code {
				marked = append(marked, fmt.Sprintf("%d %s", i+1, severity))
			}
		}
	}
	return marked
}

// measuredFor is a run, for the rules that are about one.
func measuredFor(code string) audit.Measured {
	if code != "SP018" && code != "SP075" {
		return audit.Measured{}
	}
	return audit.Measured{
		Source: "a run", Host: "reviews.default.svc.cluster.local",
		Limits: []audit.MeasuredLimit{{Block: "http", Field: "http2MaxRequests", Fits: 256, InUse: 61, At: "at one gateway, at 800/s", Reason: "twice what was in flight"}, {Block: "tcp", Field: "maxConnections", InUse: 8, At: "at one gateway, at 800/s"}},
		CPU:    []audit.MeasuredCPU{{Role: "gateway", Cores: 0.31, At: "at 800/s", Request: "500m", Reason: "75 % of it at the rate"}, {Role: "sidecar", Cores: 0.12, At: "at 800/s", Request: "200m", Reason: "likewise"}},
	}
}

// TestRulesAreDescribed holds what users and other tools rely on.
func TestRulesAreDescribed(t *testing.T) {
	codes, names := map[string]bool{}, map[string]bool{}
	name := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)+$`)
	for _, r := range audit.Rules() {
		if codes[r.Code] || names[r.Name] {
			t.Errorf("%s %s is there twice", r.Code, r.Name)
		}
		codes[r.Code], names[r.Name] = true, true
		if !regexp.MustCompile(`^SP\d{3}$`).MatchString(r.Code) || !name.MatchString(r.Name) {
			t.Errorf("%s %s: not a code and a name", r.Code, r.Name)
		}
		if r.Title == "" || strings.HasSuffix(r.Title, ".") || !strings.HasSuffix(r.Why, ".") || len(r.Why) < 60 {
			t.Errorf("%s: title %q or why %q is not what it should be", r.Code, r.Title, r.Why)
		}
		if !slices.Contains([]audit.Severity{audit.Error, audit.Warning, audit.Info}, r.Severity) {
			t.Errorf("%s: severity %q", r.Code, r.Severity)
		}
	}
	if len(codes) < 22 {
		t.Errorf("%d rules, want at least 22", len(codes))
	}
	files, err := os.ReadDir(filepath.Join("testdata", "rules"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if code := strings.TrimSuffix(file.Name(), ".txtar"); !codes[code] {
			t.Errorf("testdata/rules/%s is about no rule", file.Name())
		}
	}
}

// TestHarmfulFixes: what may hurt is never handed out without what to do before.
func TestHarmfulFixes(t *testing.T) {
	for _, r := range audit.Rules() {
		for _, harmful := range []struct{ fix, says string }{
			{"mode: STRICT", "The order:"},
			{"REGISTRY_ONLY", "The order:"},
			{"maxEjectionPercent: 50", "carry the peak"},
			{"principals:", "gets 403"},
		} {
			if strings.Contains(r.Fix, harmful.fix) && !strings.Contains(strings.Join(r.Caution, " "), harmful.says) {
				t.Errorf("%s hands out %s without %q", r.Code, harmful.fix, harmful.says)
			}
		}
		for _, downgrade := range []string{"DISABLE", "insecureSkipVerify: true", "PERMISSIVE", "TLSV1_0", "TLSV1_1", "maxProtocolVersion", "ALLOW_ANY"} {
			if strings.Contains(r.Fix, downgrade) {
				t.Errorf("%s: the fix is a downgrade: %s", r.Code, downgrade)
			}
		}
	}
}
