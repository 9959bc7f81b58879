package markdown

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/sailplan-io/sailplan/reports"
)

// Write writes the document. Charts are left out: their numbers are in tables.
func Write(w io.Writer, d reports.Document) error {
	out := bufio.NewWriter(w)
	p := printer{out}
	p.printf("> %s\n\n## %s\n", note(d.Evidence), Escape(d.Title))
	for _, s := range d.Sections {
		p.section(s)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing %s: %w", d.Title, err)
	}
	return nil
}

// printer writes blocks. Errors stay in the buffer until it is flushed.
type printer struct{ out *bufio.Writer }

func (p printer) printf(format string, args ...any) { fmt.Fprintf(p.out, format, args...) }

func (p printer) section(s reports.Section) {
	var blocks []reports.Block
	for _, b := range s.Blocks {
		if _, chart := b.(reports.Series); !chart {
			blocks = append(blocks, b)
		}
	}
	if len(blocks) == 0 {
		return
	}
	if s.Detail {
		p.printf("\n<details><summary>%s</summary>\n", Escape(s.Title))
	} else {
		p.printf("\n### %s\n", Escape(s.Title))
	}
	var before reports.Block
	for _, b := range blocks {
		if !joins(before, b) {
			p.printf("\n")
		}
		p.block(b)
		before = b
	}
	if s.Detail {
		p.printf("\n</details>\n")
	}
}

// joins reports whether two blocks are one list.
func joins(before, b reports.Block) bool { return isList(before) && isList(b) }

func isList(b reports.Block) bool {
	switch b.(type) {
	case reports.Note, reports.Checks, reports.KeyValues:
		return true
	}
	return false
}

func (p printer) block(b reports.Block) {
	switch b := b.(type) {
	case reports.Verdict:
		p.printf("**%s%s**\n", mark(b.Level), Escape(b.Text))
		if b.Detail != "" {
			p.printf("\n%s\n", Escape(b.Detail))
		}
	case reports.Note:
		p.printf("- %s\n", note(b))
	case reports.KeyValues:
		for _, item := range b.Items {
			p.printf("- %s: **%s**\n", Escape(item.Key), Escape(item.Value))
		}
	case reports.Table:
		p.table(b)
	case reports.Checks:
		for _, c := range b.Items {
			text := Escape(c.Name)
			if c.Text != "" {
				text += ": " + Escape(c.Text)
			}
			p.printf("- %s%s\n", checkMark(c.Status), text)
		}
	case reports.Code:
		p.code(b.Text)
	case reports.Series:
	}
}

func note(n reports.Note) string {
	if n.Level == reports.Info {
		return Escape(n.Text)
	}
	return mark(n.Level) + Escape(n.Text)
}

func mark(l reports.Level) string {
	switch l {
	case reports.Good:
		return "✅ "
	case reports.Warning:
		return "⚠️ "
	case reports.Bad:
		return "❌ "
	case reports.Info:
	}
	return "ℹ️ "
}

func checkMark(s reports.Status) string {
	switch s {
	case reports.Passed:
		return "✅ "
	case reports.Failed:
		return "❌ "
	case reports.Unknown:
		return "❔ "
	case reports.Skipped:
	}
	return "⏭️ "
}

func (p printer) table(t reports.Table) {
	if t.Caption != "" {
		p.printf("%s\n\n", Escape(t.Caption))
	}
	p.printf("|")
	for _, c := range t.Columns {
		p.printf(" %s |", Escape(c.Title))
	}
	p.printf("\n|")
	for _, c := range t.Columns {
		if c.Right {
			p.printf(" ---: |")
		} else {
			p.printf(" --- |")
		}
	}
	p.printf("\n")
	for _, r := range t.Rows {
		p.printf("|")
		for i := range t.Columns {
			text := ""
			if i < len(r.Cells) && (i > 0 || !r.Continues) {
				text = Escape(r.Cells[i])
			}
			if t.Columns[i].Strong && text != "" {
				text = "**" + text + "**"
			}
			p.printf(" %s |", text)
		}
		p.printf("\n")
	}
}

// code writes a fenced block whose fence is longer than any in the text.
func (p printer) code(text string) {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	p.printf("%ssh\n%s\n%s\n", fence, strings.Join(reports.Lines(text), "\n"), fence)
}

// special are the characters that Markdown, or GitHub on top of it, gives a
// meaning to wherever they are.
const special = "\\`*_[]<>&|~#$"

// Escape returns text on one line, so that it shows in Markdown as it is: in a
// paragraph, a heading, a list item or a cell of a table. A mention is broken by
// an invisible character, so that a name in a report calls nobody.
func Escape(text string) string {
	var b strings.Builder
	text = reports.OneLine(text)
	for i, r := range text {
		switch {
		case strings.ContainsRune(special, r), i == 0 && strings.ContainsRune("+-=", r):
			b.WriteByte('\\')
		case (r == '.' || r == ')') && i > 0 && strings.Trim(text[:i], "0123456789") == "":
			b.WriteByte('\\') // else the text would begin a numbered list
		}
		b.WriteRune(r)
		if r == '@' {
			b.WriteRune('\u200b')
		}
	}
	return b.String()
}
