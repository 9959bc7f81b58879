package html

import (
	"bytes"
	_ "embed" // the page's template, style and script
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sailplan-io/sailplan/reports"
)

//go:embed page.html.tmpl
var pageTemplate string

//go:embed page.css
var pageCSS string

//go:embed charts.js
var chartsJS string

//go:embed assets/uPlot.iife.min.js
var uplotJS string

//go:embed assets/uPlot.min.css
var uplotCSS string

// Write writes the document as one HTML file.
func Write(w io.Writer, d reports.Document) error {
	t, err := template.New("page").Funcs(template.FuncMap{"line": reports.OneLine}).Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("parsing the template of the page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, pageOf(d)); err != nil {
		return fmt.Errorf("rendering %s: %w", d.Title, err)
	}
	if _, err := b.WriteTo(w); err != nil {
		return fmt.Errorf("writing %s: %w", d.Title, err)
	}
	return nil
}

// page is what the template gets.
type page struct {
	Title    string
	Evidence reports.Note
	Sections []section
	Charts   []chart
	// What is ours and trusted: never text from a result.
	CSS template.CSS
	JS  []template.JS
}

type section struct {
	ID     string
	Title  string
	Detail bool
	Blocks []block
}

// block has exactly one of its pointers set.
type block struct {
	Verdict   *reports.Verdict
	Note      *reports.Note
	KeyValues *reports.KeyValues
	Table     *table
	Checks    *reports.Checks
	Code      *string
	Chart     *figure
}

type table struct {
	Caption string
	Stack   bool // on a narrow screen, rows become cards
	Pairs   bool // the second column names the value in the third
	Columns []reports.Column
	Rows    []row
	Below   int // when not 0, what the sentences of a row span below it
}

type row struct {
	Level     reports.Level
	Continues bool
	Cells     []cell
	Below     string
}

type cell struct {
	Title string // of the column, for cards
	Text  string
	Class string
	Head  bool // names the row
}

// figure is the place of a chart in the page.
type figure struct {
	Index   int // in page.Charts
	Title   string
	Caption string
	Summary string // for who cannot see it
}

func pageOf(d reports.Document) page {
	p := page{
		Title:    reports.OneLine(d.Title),
		Evidence: d.Evidence,
		CSS:      template.CSS(uplotCSS + pageCSS),
		JS:       []template.JS{template.JS(uplotJS), template.JS(chartsJS)},
	}
	for i, s := range d.Sections {
		out := section{ID: "s" + strconv.Itoa(i+1), Title: s.Title, Detail: s.Detail}
		for _, b := range s.Blocks {
			out.Blocks = append(out.Blocks, p.block(b))
		}
		p.Sections = append(p.Sections, out)
	}
	return p
}

func (p *page) block(b reports.Block) block {
	switch b := b.(type) {
	case reports.Verdict:
		return block{Verdict: &b}
	case reports.Note:
		return block{Note: &b}
	case reports.KeyValues:
		return block{KeyValues: &b}
	case reports.Table:
		return block{Table: tableOf(b)}
	case reports.Checks:
		return block{Checks: &b}
	case reports.Code:
		text := strings.Join(reports.Lines(b.Text), "\n")
		return block{Code: &text}
	case reports.Series:
		p.Charts = append(p.Charts, chartOf(b))
		return block{Chart: &figure{len(p.Charts) - 1, b.Title, b.Caption, summary(b)}}
	}
	return block{}
}

// wideTable is how many columns leave no room for sentences beside them.
const wideTable = 8

// longCell is how many characters stay on one line though a table gets wide.
const longCell = 45

func tableOf(t reports.Table) *table {
	out := &table{Caption: t.Caption, Columns: t.Columns}
	if last := len(t.Columns) - 1; last > wideTable && t.Columns[last].Prose {
		out.Columns, out.Below = t.Columns[:last], last
	}
	for _, c := range t.Columns {
		out.Stack = out.Stack || c.Prose && len(t.Columns) <= 5
	}
	for _, r := range t.Rows {
		cells := make([]cell, len(out.Columns))
		for i, c := range out.Columns {
			cells[i] = cell{Title: c.Title, Class: class(c), Head: i == 0}
			if i < len(r.Cells) {
				cells[i].Text = r.Cells[i]
				if !c.Prose && utf8.RuneCountInString(r.Cells[i]) > longCell {
					cells[i].Class = strings.TrimSpace(cells[i].Class + " long")
				}
			}
		}
		out.Pairs = out.Pairs || r.Continues
		below := ""
		if out.Below > 0 && out.Below < len(r.Cells) {
			below = r.Cells[out.Below]
		}
		out.Rows = append(out.Rows, row{r.Level, r.Continues, cells, below})
	}
	return out
}

// class returns the classes of the cells of a column.
func class(c reports.Column) string {
	var classes []string
	for _, of := range []struct {
		is   bool
		name string
	}{{c.Right, "right"}, {c.Prose, "prose"}, {c.Strong, "strong"}} {
		if of.is {
			classes = append(classes, of.name)
		}
	}
	return strings.Join(classes, " ")
}

// summary says in words what a chart shows.
func summary(s reports.Series) string {
	var names []string
	for _, l := range s.Lines {
		names = append(names, l.Name)
	}
	text := fmt.Sprintf("Chart: %s over %s. Lines: %s.", s.Y.Label, s.X.Label, strings.Join(names, ", "))
	for _, l := range s.Limits {
		text += fmt.Sprintf(" Horizontal line: %s at %s.", l.Label, s.Y.Format(l.At))
	}
	for _, m := range s.Markers {
		text += fmt.Sprintf(" Vertical line: %s.", m.Label)
	}
	return text + " The numbers are in the tables of this page."
}
