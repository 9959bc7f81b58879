package terminal

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sailplan-io/sailplan/reports"
)

const (
	columnGap     = 2
	smallestProse = 30 // columns that a column of sentences gets as a rule
	smallestText  = 16
	smallestCell  = 5
)

// table writes a table no wider than the terminal. Where there is too little
// room for a last column of sentences beside the others, they go below the row.
func (p printer) table(t reports.Table) {
	if len(t.Columns) == 0 {
		return
	}
	columns, below := t.Columns, false
	if last := len(columns) - 1; last > 0 && columns[last].Prose {
		others := columnGap
		for i := range last {
			others += natural(t, i) + columnGap
		}
		if others+min(smallestProse, natural(t, last)) > p.o.Width {
			columns, below = columns[:last], true
		}
	}
	gap := columnGap
	// Prose gives way instead, so that its first word does not look like a part
	// of the number before it.
	if !columns[len(columns)-1].Prose && total(t, columns)+gap*(len(columns)-1) > p.o.Width {
		gap = 1
	}
	widths := p.widths(t, columns, gap)
	titles := make([]string, len(columns))
	rules := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.Title
		rules[i] = strings.Repeat("─", widths[i])
	}
	p.row(columns, widths, gap, titles, true)
	p.row(columns, widths, gap, rules, false)
	grouped := slices.ContainsFunc(t.Rows, func(r reports.Row) bool { return r.Continues })
	for i, r := range t.Rows {
		cells := slices.Clone(r.Cells)
		if r.Continues && len(cells) > 0 {
			cells[0] = ""
		}
		if grouped && i > 0 && !r.Continues {
			p.line("")
		}
		p.row(columns, widths, gap, cells, false)
		if below && len(cells) > len(columns) {
			p.paragraph("    ↳ ", cells[len(columns)], false)
		}
	}
}

// natural returns the width that a column needs so that no cell is broken; a
// title over numbers may be, between its words.
func natural(t reports.Table, column int) int {
	width := 0
	for _, word := range strings.Fields(reports.OneLine(t.Columns[column].Title)) {
		width = max(width, utf8.RuneCountInString(word))
	}
	if !t.Columns[column].Right {
		width = utf8.RuneCountInString(spaced(t.Columns[column].Title))
	}
	for _, r := range t.Rows {
		if column < len(r.Cells) {
			width = max(width, utf8.RuneCountInString(spaced(r.Cells[column])))
		}
	}
	return width
}

func total(t reports.Table, columns []reports.Column) int {
	sum := 0
	for i := range columns {
		sum += natural(t, i)
	}
	return sum
}

// widths returns the width of each column: where there is too little room, the
// sentences give way first, then other text, then the numbers, the widest first.
func (p printer) widths(t reports.Table, columns []reports.Column, gap int) []int {
	widths := make([]int, len(columns))
	room := p.o.Width - gap*(len(columns)-1)
	sum := 0
	for i := range columns {
		widths[i] = natural(t, i)
		sum += widths[i]
	}
	for ; sum > room; sum-- {
		give := widest(columns, widths, smallestProse, func(c reports.Column) bool { return c.Prose })
		if give < 0 {
			give = widest(columns, widths, smallestText, func(c reports.Column) bool { return !c.Right })
		}
		if give < 0 {
			give = widest(columns, widths, smallestCell, func(reports.Column) bool { return true })
		}
		if give < 0 {
			break // more columns than fit: lines get longer than the terminal
		}
		widths[give]--
	}
	return widths
}

// widest returns the widest column of a kind that is wider than atLeast, or −1.
func widest(columns []reports.Column, widths []int, atLeast int, kind func(reports.Column) bool) int {
	found := -1
	for i, c := range columns {
		if kind(c) && widths[i] > atLeast && (found < 0 || widths[i] > widths[found]) {
			found = i
		}
	}
	return found
}

func (p printer) row(columns []reports.Column, widths []int, gap int, cells []string, bold bool) {
	wrapped := make([][]string, len(columns))
	height := 1
	for i := range columns {
		if i < len(cells) {
			wrapped[i] = wrap(cells[i], widths[i])
			height = max(height, len(wrapped[i]))
		}
	}
	for n := range height {
		var line strings.Builder
		for i, c := range columns {
			if i > 0 {
				line.WriteString(strings.Repeat(" ", gap))
			}
			text := ""
			if n < len(wrapped[i]) {
				text = wrapped[i][n]
			}
			line.WriteString(pad(text, widths[i], c.Right))
		}
		text := strings.TrimRight(line.String(), " ")
		if bold {
			text = p.bold(text)
		}
		p.line(text)
	}
}
