package terminal

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sailplan-io/sailplan/reports"
)

// Options choose how a document is written. The zero value is good for a log.
type Options struct {
	Width   int  // columns; 0 means 100, less than 40 is taken as 40
	Bold    bool // set what matters in bold with ANSI escapes
	Details bool // also the sections that are not needed for the answer
}

const (
	defaultWidth  = 100
	smallestWidth = 40
)

// Write writes the document. Charts are left out: their numbers are in tables.
func Write(w io.Writer, d reports.Document, o Options) error {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	o.Width = max(o.Width, smallestWidth)
	out := bufio.NewWriter(w)
	p := printer{out, o}
	p.paragraph("", d.Evidence.Text, false)
	p.paragraph("", d.Title, true)
	for _, s := range d.Sections {
		if s.Detail && !o.Details {
			continue
		}
		p.section(s)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing %s: %w", d.Title, err)
	}
	return nil
}

// printer writes blocks. Errors stay in the buffer until it is flushed.
type printer struct {
	out *bufio.Writer
	o   Options
}

func (p printer) section(s reports.Section) {
	titled := false
	for _, b := range s.Blocks {
		if _, chart := b.(reports.Series); chart {
			continue
		}
		if !titled {
			p.line("")
			p.line(p.bold(strings.ToUpper(spaced(s.Title))))
			titled = true
		}
		p.block(b)
	}
}

func (p printer) block(b reports.Block) {
	switch b := b.(type) {
	case reports.Verdict:
		p.paragraph("", b.Text, true)
		p.paragraph("", b.Detail, false)
	case reports.Note:
		p.paragraph(noteMark(b.Level), b.Text, false)
	case reports.KeyValues:
		p.keyValues(b)
	case reports.Table:
		p.line("")
		p.paragraph("", b.Caption, false)
		p.table(b)
	case reports.Checks:
		for _, c := range b.Items {
			text := c.Name
			if c.Text != "" {
				text += ": " + c.Text
			}
			p.paragraph(fmt.Sprintf("%-9s ", "["+checkMark(c.Status)+"]"), text, false)
		}
	case reports.Code:
		for _, line := range reports.Lines(b.Text) {
			p.line("    " + strings.ReplaceAll(line, "\u00a0", " ")) // Lines left no harm in it, and its spaces say something
		}
	case reports.Series:
	}
}

func noteMark(l reports.Level) string {
	switch l {
	case reports.Warning:
		return "! "
	case reports.Bad:
		return "✗ "
	case reports.Info, reports.Good:
	}
	return "- "
}

func checkMark(s reports.Status) string {
	switch s {
	case reports.Passed:
		return "ok"
	case reports.Failed:
		return "FAILED"
	case reports.Unknown, reports.Skipped:
	}
	return s.String()
}

func (p printer) line(text string) {
	p.out.WriteString(strings.TrimRight(text, " "))
	p.out.WriteByte('\n')
}

// paragraph writes wrapped text whose first line begins with mark; the others
// are indented by as much. Empty text is left out.
func (p printer) paragraph(mark, text string, bold bool) {
	lines := wrap(text, p.o.Width-utf8.RuneCountInString(mark))
	for i, line := range lines {
		lead := mark
		if i > 0 {
			lead = strings.Repeat(" ", utf8.RuneCountInString(mark))
		}
		if bold {
			line = p.bold(line)
		}
		p.line(lead + line)
	}
}

func (p printer) bold(text string) string {
	if !p.o.Bold || text == "" {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

func (p printer) keyValues(b reports.KeyValues) {
	width := 0
	for _, item := range b.Items {
		width = max(width, utf8.RuneCountInString(spaced(item.Key))+1)
	}
	width = min(width, p.o.Width/2)
	for _, item := range b.Items {
		p.paragraph(pad(spaced(item.Key)+":", width, false)+" ", item.Value, false)
	}
}

// spaced returns text on one line in ordinary spaces only.
func spaced(text string) string { return strings.ReplaceAll(reports.OneLine(text), "\u00a0", " ") }

// wrap breaks text at its ordinary spaces into lines of at most width runes. A
// word longer than a line is broken at a no-break space in it, else cut. In the
// result no-break spaces are ordinary ones.
func wrap(text string, width int) []string {
	var lines []string
	var line string
	length := 0
	for _, word := range strings.Fields(strings.ReplaceAll(reports.OneLine(text), "\u00a0", "\x00")) {
		runes := []rune(word)
		if length > 0 && length+1+len(runes) > width {
			lines, line, length = append(lines, line), "", 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		for len(runes) > width {
			cut, rest := width, width
			if i := lastIndex(runes[:width+1], '\x00'); i > 0 {
				cut, rest = i, i+1
			}
			lines = append(lines, string(runes[:cut]))
			runes = runes[rest:]
		}
		line, length = line+string(runes), length+len(runes)
	}
	if length > 0 {
		lines = append(lines, line)
	}
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "\x00", " ")
	}
	return lines
}

func lastIndex(runes []rune, r rune) int {
	for i := len(runes) - 1; i >= 0; i-- {
		if runes[i] == r {
			return i
		}
	}
	return -1
}

func pad(text string, width int, right bool) string {
	missing := width - utf8.RuneCountInString(text)
	switch {
	case missing <= 0:
		return text
	case right:
		return strings.Repeat(" ", missing) + text
	}
	return text + strings.Repeat(" ", missing)
}
