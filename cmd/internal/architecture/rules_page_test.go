package architecture

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios/audit"
)

// rulesPage writes the rules of the audit as a page: a table, and a section a rule
// whose anchor is its code.
func rulesPage(rules []audit.Rule, practices []string) string {
	var b strings.Builder
	b.WriteString("# The rules of `sailplan audit`\n\n<!-- made from the code: go test ./cmd/internal/architecture -update -->\n\n")
	b.WriteString("What each rule looks for, why it matters, and how it is put right. How to run the\naudit, and how a comment silences a finding, is in [audit.md](audit.md).\n\n")
	b.WriteString("| code | rule | severity | what it finds |\n|---|---|---|---|\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", r.Code, strings.ToLower(r.Code), r.Name, r.Severity, cell(r.Title))
	}
	b.WriteString("\nThe checklist of production readiness (`--checklist`), which rests on the rules and on\nwhat the files have beside:\n\n")
	for _, practice := range practices {
		fmt.Fprintf(&b, "- %s\n", practice)
	}
	for _, r := range rules {
		fmt.Fprintf(&b, "\n<a id=%q></a>\n\n## %s: %s\n\n`%s`, %s. %s\n", strings.ToLower(r.Code), r.Code, r.Title, r.Name, r.Severity, r.Why)
		if r.Fix != "" {
			fmt.Fprintf(&b, "\n```yaml\n%s\n```\n", strings.TrimSuffix(r.Fix, "\n"))
		}
		if len(r.Caution) > 0 {
			b.WriteString("\nBefore:\n\n")
		}
		for _, caution := range r.Caution {
			fmt.Fprintf(&b, "- %s\n", caution)
		}
	}
	return b.String()
}

func TestRulesPage(t *testing.T) {
	name := filepath.Join(root, "docs", "rules.md")
	want := rulesPage(audit.Rules(), audit.PracticeNames())
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != want {
		t.Error("docs/rules.md does not have the rules of the code: run this test with -update")
	}
}
