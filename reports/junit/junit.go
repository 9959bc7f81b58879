package junit

import (
	"encoding/xml"
	"fmt"
	"io"

	"github.com/sailplan-io/sailplan/reports"
)

// The elements, in the order that readers of the format expect.
type (
	testSuites struct {
		XMLName  xml.Name    `xml:"testsuites"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Suites   []testSuite `xml:"testsuite"`
	}
	testSuite struct {
		Name       string     `xml:"name,attr"`
		Tests      int        `xml:"tests,attr"`
		Failures   int        `xml:"failures,attr"`
		Errors     int        `xml:"errors,attr"`
		Skipped    int        `xml:"skipped,attr"`
		Properties []property `xml:"properties>property"`
		Cases      []testCase `xml:"testcase"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	testCase struct {
		ClassName string   `xml:"classname,attr"`
		Name      string   `xml:"name,attr"`
		Failure   *problem `xml:"failure"`
		Error     *problem `xml:"error"`
		Skipped   *skipped `xml:"skipped"`
		Output    string   `xml:"system-out,omitempty"`
	}
	problem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	skipped struct {
		Message string `xml:"message,attr"`
	}
)

// Write writes the conditions of the document. What failed is a failure; what
// could not be measured validly is an error; what there was no need to check is
// skipped.
func Write(w io.Writer, d reports.Document) error {
	all := testSuites{Name: "sailplan"}
	for _, group := range groups(d) {
		s := suite(d, group)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
		all.Suites = append(all.Suites, s)
	}
	data, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the cases of %s: %w", d.Title, err)
	}
	if _, err := fmt.Fprintf(w, "%s%s\n", xml.Header, data); err != nil {
		return fmt.Errorf("writing the cases of %s: %w", d.Title, err)
	}
	return nil
}

// groups returns the document's conditions in order; verdicts are one more group.
func groups(d reports.Document) []reports.Checks {
	var found []reports.Checks
	for _, s := range d.Sections {
		for _, b := range s.Blocks {
			switch b := b.(type) {
			case reports.Verdict:
				check := reports.Check{Name: "outcome", Status: b.Status, Text: b.Text}
				if b.Detail != "" {
					check.Text += " – " + b.Detail
				}
				found = append(found, reports.Checks{Group: "outcome", Items: []reports.Check{check}})
			case reports.Checks:
				if len(b.Items) > 0 {
					found = append(found, b)
				}
			}
		}
	}
	return found
}

func suite(d reports.Document, group reports.Checks) testSuite {
	title := reports.OneLine(d.Title)
	s := testSuite{
		Name:       title + ": " + reports.OneLine(group.Group),
		Properties: []property{{"evidence", reports.OneLine(d.Evidence.Text)}},
	}
	for _, check := range group.Items {
		text := reports.OneLine(check.Text)
		c := testCase{ClassName: title, Name: reports.OneLine(check.Name)}
		s.Tests++
		switch check.Status {
		case reports.Passed:
			c.Output = text
		case reports.Failed:
			s.Failures++
			c.Failure = &problem{text, check.Status.String(), text}
		case reports.Unknown:
			s.Errors++
			c.Error = &problem{text, check.Status.String(), text}
		case reports.Skipped:
			s.Skipped++
			c.Skipped = &skipped{text}
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}
