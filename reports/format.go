package reports

import (
	"math"
	"strings"
	"unicode"

	"github.com/sailplan-io/sailplan/analysis/quantity"
)

// Absent is written where a source did not have a value.
const Absent = quantity.Absent

// Format writes a value of the axis with its unit.
func (a Axis) Format(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) || a.Unit == "" || strings.HasPrefix(a.Unit, "/") {
		return quantity.Number(v) + a.Unit
	}
	return quantity.Number(v) + quantity.NoBreak + a.Unit
}

// OneLine returns text as one line that can do no harm where it is shown: every
// run of white space is one space, and control characters and those that change
// the direction of writing are replaced. No-break spaces stay.
func OneLine(text string) string {
	return strings.Join(strings.FieldsFunc(harmless(text), func(r rune) bool {
		return r != nbspRune && unicode.IsSpace(r)
	}), " ")
}

// Lines returns text line by line, each as OneLine leaves it but with its inner
// spaces as they are.
func Lines(text string) []string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRightFunc(harmless(strings.ReplaceAll(line, "\t", "    ")), unicode.IsSpace)
	}
	return lines
}

const nbspRune = '\u00a0'

func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}
