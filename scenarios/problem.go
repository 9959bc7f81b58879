package scenarios

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong with a file, and where.
type Problem struct {
	File    string // empty when the value was not read from a file
	Line    int    // from 1; 0 when not known
	Column  int    // in characters, from 1; 0 when not known
	Path    string // of the key, as in "requests[1].weight"; may be empty
	Message string
	Excerpt string // the line of the file, made safe to print; may be empty
	Hint    string // what to write instead; may be empty
}

// Error prints the place, the message, and below them the line with a mark under
// the column, and the hint.
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
		if p.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
		}
		b.WriteString(" ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Excerpt != "" {
		number := fmt.Sprintf("%5d", p.Line)
		text, mark := excerptWindow(p.Excerpt, p.Column)
		fmt.Fprintf(&b, "\n%s | %s\n%s | %s", number, text, strings.Repeat(" ", len(number)), mark)
	}
	if p.Hint != "" {
		b.WriteString("\n      hint: " + p.Hint)
	}
	return b.String()
}

// excerptWidth is how much of a line is shown.
const excerptWidth = 100

// excerptWindow cuts the line down to the stretch around the column (in
// characters, from 1) and returns it with a line that marks the column.
func excerptWindow(line string, column int) (text, mark string) {
	runes := []rune(line)
	start := 0
	if len(runes) > excerptWidth && column > excerptWidth*3/4 {
		start = min(column-excerptWidth/2, len(runes)-1)
	}
	end := min(start+excerptWidth, len(runes))
	var m strings.Builder
	for _, r := range runes[start:min(start+max(0, column-1-start), end)] {
		if r == '\t' {
			m.WriteRune('\t')
		} else {
			m.WriteRune(' ')
		}
	}
	text = string(runes[start:end])
	if start > 0 {
		text, mark = "…"+text, " "
	}
	if end < len(runes) {
		text += "…"
	}
	return text, mark + m.String() + "^"
}

// printable replaces what could disturb a terminal, and the user and password of
// a URL.
func printable(s string) string {
	if strings.Contains(s, "@") {
		s = regexp.MustCompile(`://[^/\s@]*@`).ReplaceAllString(s, "://…@")
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// Errors are all problems of one file, in the order of their places.
type Errors []Problem

// shownProblems bounds how many problems Errors prints.
const shownProblems = 20

// Error prints the problems one below the other.
func (e Errors) Error() string {
	shown := e
	if len(shown) > shownProblems {
		shown = shown[:shownProblems]
	}
	lines := make([]string, 0, len(shown)+1)
	for _, p := range shown {
		lines = append(lines, p.Error())
	}
	if more := len(e) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems, each as an error.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, p := range e {
		errs[i] = p
	}
	return errs
}

// orNil returns the problems sorted by place, or nil when there are none.
func (e Errors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}

// Nearest returns the candidate that word was most likely meant to be: equal but
// for case, or at most a third of its letters away.
func Nearest(word string, candidates []string) (string, bool) {
	best, bestDistance := "", len(word)/3+1
	for _, candidate := range candidates {
		if strings.EqualFold(word, candidate) {
			return candidate, true
		}
		limit := max(1, min(len(word), len(candidate))/3)
		if d := editDistance(strings.ToLower(word), strings.ToLower(candidate)); d <= limit && d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best, best != ""
}

// maxWord bounds the words that are compared: longer ones are nobody's typo.
const maxWord = 64

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours (Damerau–Levenshtein, optimal string alignment) that turn a into b.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > maxWord || len(y) > maxWord {
		return maxWord
	}
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
