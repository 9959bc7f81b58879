package sarif

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/audit"
)

// The parts of the format that are used here; names and nesting are section 3's.
type (
	document struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []run  `json:"runs"`
	}
	run struct {
		Tool        tool         `json:"tool"`
		ColumnKind  string       `json:"columnKind"`
		Invocations []invocation `json:"invocations"`
		Results     []result     `json:"results"`
	}
	tool struct {
		Driver driver `json:"driver"`
	}
	driver struct {
		Name            string `json:"name"`
		SemanticVersion string `json:"version,omitempty"`
		InformationURI  string `json:"informationUri"`
		Rules           []rule `json:"rules"`
	}
	rule struct {
		ID               string        `json:"id"`
		Name             string        `json:"name"`
		ShortDescription message       `json:"shortDescription"`
		FullDescription  message       `json:"fullDescription"`
		Help             multiformat   `json:"help"`
		HelpURI          string        `json:"helpUri"`
		Default          configuration `json:"defaultConfiguration"`
	}
	configuration struct {
		Level string `json:"level"`
	}
	message struct {
		Text string `json:"text"`
	}
	multiformat struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	result struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      message           `json:"message"`
		Locations    []location        `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Suppressions []suppression     `json:"suppressions,omitempty"`
	}
	suppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
	location struct {
		Physical physicalLocation  `json:"physicalLocation"`
		Logical  []logicalLocation `json:"logicalLocations,omitempty"`
	}
	physicalLocation struct {
		Artifact artifactLocation `json:"artifactLocation"`
		Region   *region          `json:"region,omitempty"`
	}
	logicalLocation struct {
		Name string `json:"name"`
		Full string `json:"fullyQualifiedName,omitempty"`
	}
	artifactLocation struct {
		URI string `json:"uri"`
	}
	region struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	invocation struct {
		Successful    bool           `json:"executionSuccessful"`
		Notifications []notification `json:"toolExecutionNotifications,omitempty"`
	}
	notification struct {
		Level     string     `json:"level"`
		Message   message    `json:"message"`
		Locations []location `json:"locations"`
	}
)

const (
	home  = "https://github.com/sailplan-io/sailplan"
	pages = home + "/blob/main/docs/rules.md"
)

// Write writes the findings, those that comments silence as suppressed, and the
// files that could not be read as notifications. version is the program's.
func Write(w io.Writer, r audit.Result, version string) error {
	out := run{
		Tool:       tool{driver{Name: "sailplan", SemanticVersion: version, InformationURI: home, Rules: []rule{}}},
		ColumnKind: "unicodeCodePoints", Results: []result{},
		Invocations: []invocation{{Successful: len(r.Unreadable) == 0, Notifications: notifications(r.Unreadable)}},
	}
	index := map[string]int{}
	for i, known := range audit.Rules() {
		index[known.Code] = i
		out.Tool.Driver.Rules = append(out.Tool.Driver.Rules, described(known))
	}
	for _, f := range r.Findings {
		out.Results = append(out.Results, found(f, index[f.Code]))
	}
	for _, s := range r.Silenced {
		one := found(s.Finding, index[s.Code])
		one.Suppressions = []suppression{{"inSource", s.Reason}}
		out.Results = append(out.Results, one)
	}
	distinguish(out.Results)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []run{out}}); err != nil {
		return fmt.Errorf("writing SARIF: %w", err)
	}
	return nil
}

func described(known audit.Rule) rule {
	help := known.Why
	markdown := known.Why
	if known.Fix != "" {
		help += "\n\nFix:\n" + known.Fix
		markdown += "\n\n```yaml\n" + strings.TrimSuffix(known.Fix, "\n") + "\n```"
	}
	for _, caution := range known.Caution {
		help += "\n\nBefore: " + caution
		markdown += "\n\n> " + caution
	}
	return rule{
		ID: known.Code, Name: pascal(known.Name), ShortDescription: message{known.Title}, FullDescription: message{known.Why},
		Help: multiformat{help, markdown}, HelpURI: pages + "#" + strings.ToLower(known.Code), Default: configuration{level(known.Severity)},
	}
}

// pascal writes a name as the format recommends it: NeverEjects for never-ejects.
func pascal(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func level(s audit.Severity) string {
	if s == audit.Info {
		return "note"
	}
	return string(s)
}

func found(f audit.Finding, index int) result {
	text := f.Message
	if f.Object != "" {
		text = f.Object + ": " + text
	}
	if f.Fix != "" {
		text += "\nFix:\n" + f.Fix
	}
	for _, caution := range f.Caution {
		text += "\nBefore: " + caution
	}
	at := location{Physical: physicalLocation{artifactLocation{uri(f.File)}, &region{max(1, f.Line), max(1, f.Column)}}}
	if f.Object != "" {
		at.Logical = []logicalLocation{{Name: f.Object, Full: f.Object + " " + f.Path}}
	}
	return result{
		RuleID: f.Code, RuleIndex: index, Level: level(f.Severity), Message: message{strings.TrimSpace(text)}, Locations: []location{at},
		Fingerprints: map[string]string{"object/v1": strings.Join([]string{f.Code, f.File, f.Object, f.Path}, "\x00")},
	}
}

// distinguish turns what identifies a result into a fingerprint that stays the
// same when lines move, and tells results at the same place apart.
func distinguish(results []result) {
	seen := map[string]int{}
	for _, r := range results {
		key := r.Fingerprints["object/v1"]
		seen[key]++
		sum := sha256.Sum256([]byte(key))
		r.Fingerprints["object/v1"] = fmt.Sprintf("%s:%d", hex.EncodeToString(sum[:16]), seen[key])
	}
}

// uri writes a file's name as a relative reference.
func uri(name string) string {
	return (&url.URL{Path: strings.TrimPrefix(filepath.ToSlash(name), "./")}).String()
}

func notifications(unreadable []audit.Unreadable) []notification {
	all := make([]notification, 0, len(unreadable))
	for _, u := range unreadable {
		n := notification{Level: "error", Message: message{u.Message}, Locations: []location{{Physical: physicalLocation{Artifact: artifactLocation{uri(u.File)}}}}}
		if u.Line > 0 {
			n.Locations[0].Physical.Region = &region{StartLine: u.Line}
		}
		all = append(all, n)
	}
	return all
}
