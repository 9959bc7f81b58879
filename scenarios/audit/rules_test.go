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
	"go.yaml.in/yaml/v3"

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
		CPU:    []audit.MeasuredCPU{{Role: "gateway", Cores: 0.31, At: "at 800/s", Request: "500m", Reason: "75 % of it at the rate"}, {Role: "sidecar", Cores: 0.12, At: "at 800/s"}, {Role: "control-plane", Cores: 0.4, At: "at 20/s"}},
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

// handedOut returns what is handed out as a fix: by each rule, and by each finding of
// the cases, which may have one of its own.
func handedOut(t *testing.T) []audit.Finding {
	t.Helper()
	var all []audit.Finding
	for _, r := range audit.Rules() {
		all = append(all, audit.Finding{Code: r.Code, Fix: r.Fix, Caution: r.Caution})
		archive, err := txtar.ParseFile(filepath.Join("testdata", "rules", r.Code+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range archive.Files {
			all = append(all, audit.Audit([]audit.File{{Name: "case.yaml", Data: c.Data}}, measuredFor(r.Code)).Findings...)
		}
	}
	return all
}

// harmful is what a fix may do harm by, and what has to be said beside it: patterns.
type harmful struct {
	fix  *regexp.Regexp
	says []string
}

func harmfulThings() []harmful {
	thing := func(fix string, says ...string) harmful { return harmful{regexp.MustCompile(fix), says} }
	return []harmful{
		thing(`mode: STRICT`, "breaks every client without a sidecar", `The order: 1\.`, "one namespace"),
		thing(`REGISTRY_ONLY`, "breaks every call to a host without a ServiceEntry", `The order: 1\.`, "one namespace"),
		// 10 is what holds when nothing is said.
		thing(`maxEjectionPercent: (1[1-9]|[2-9]\d|100)`, "carry the peak", "failover between localities"),
		thing(`principals:`, "gets 403", `The order: 1\.`),
		thing(`ISTIO_MUTUAL`, "without a sidecar"),
		thing(`httpsRedirect`, "do not follow redirects"),
		thing(`h2UpgradePolicy`, "has to speak it"),
		thing(`retryBudget`, "callers see the errors"),
		thing(`type: ClusterIP`, "cut off"),
		thing(`(?m)^egress:`, "not reachable"),
		thing(`sidecar.istio.io/inject`, "switches the sidecar on or off"),
		thing(`proxyMemoryLimit`, "measured|at the next roll-out"),
		thing(`minProtocolVersion: TLSV1_2`, "cut off|downgrade"),
	}
}

// TestFixes looks at all that is handed out.
func TestFixes(t *testing.T) {
	all := handedOut(t)
	t.Run("no harm", func(t *testing.T) { harmfulFixes(t, all) })
	t.Run("YAML", func(t *testing.T) { fixesAreYAML(t, all) })
}

// harmfulFixes: what may hurt is never handed out without what would break and
// what to do before.
func harmfulFixes(t *testing.T, all []audit.Finding) {
	t.Helper()
	seen := map[string]bool{}
	for _, f := range all {
		caution := strings.Join(f.Caution, " ")
		for _, harmful := range harmfulThings() {
			if !harmful.fix.MatchString(f.Fix) {
				continue
			}
			seen[harmful.fix.String()] = true
			for _, word := range harmful.says {
				if !regexp.MustCompile(word).MatchString(caution) {
					t.Errorf("%s hands out\n%s\nwithout %q: %q", f.Code, f.Fix, word, f.Caution)
				}
			}
		}
		for _, downgrade := range []string{"DISABLE", "insecureSkipVerify: true", "PERMISSIVE", "TLSV1_0", "TLSV1_1", "maxProtocolVersion", "ALLOW_ANY", "AUTO_PASSTHROUGH"} {
			if strings.Contains(f.Fix, downgrade) {
				t.Errorf("%s: the fix is a downgrade: %s", f.Code, f.Fix)
			}
		}
		if regexp.MustCompile(`kind: AuthorizationPolicy`).MatchString(f.Fix) {
			t.Errorf("%s: a whole policy denies what it does not name: %s", f.Code, f.Fix)
		}
	}
	for _, harmful := range harmfulThings() {
		if !seen[harmful.fix.String()] {
			t.Errorf("no fix has %s: this test shows less than it says", harmful.fix)
		}
	}
}

// fixesAreYAML: what is handed out can be read, and has no blanks to fill that
// would be refused.
func fixesAreYAML(t *testing.T, all []audit.Finding) {
	t.Helper()
	for _, f := range all {
		if f.Fix == "" {
			continue
		}
		var content any
		if err := yaml.Unmarshal([]byte(f.Fix), &content); err != nil {
			t.Errorf("%s: the fix is no YAML: %v\n%s", f.Code, err, f.Fix)
		}
		if f.Code != "SP004" && content == nil || regexp.MustCompile(`: \{\}( |$)`).MatchString(f.Fix) && !strings.Contains(f.Fix, "spec: {}") {
			t.Errorf("%s: the fix says nothing: %s", f.Code, f.Fix)
		}
	}
}
