package scenarios

import "strings"

// TemplatePart is a piece of a template: text as it is, or the name of a value
// of the feed.
type TemplatePart struct {
	Text string
	Name string // when not empty, the value of that name stands here
}

// SplitTemplate splits a text at its placeholders ${name}, where a name has
// letters, digits, dots, dashes and underscores, and begins with a letter or an
// underscore. $${ stands for the characters ${. Any other ${ is left as it is,
// and stray is the offset of the first such, -1 when there is none: in a file
// that may be any bytes it means nothing, in a scenario it is a mistake.
func SplitTemplate(text string) (parts []TemplatePart, stray int) {
	stray = -1
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			parts = append(parts, TemplatePart{Text: literal.String()})
			literal.Reset()
		}
	}
	at := 0
	for {
		i := strings.Index(text[at:], "${")
		if i < 0 {
			literal.WriteString(text[at:])
			flush()
			return parts, stray
		}
		i += at
		name, isName := placeholder(text[i:])
		switch {
		case i > at && text[i-1] == '$':
			literal.WriteString(text[at:i-1] + "${")
			at = i + 2
		case isName:
			literal.WriteString(text[at:i])
			flush()
			parts = append(parts, TemplatePart{Name: name})
			at = i + len(name) + 3
		default:
			if stray < 0 {
				stray = i
			}
			literal.WriteString(text[at : i+2])
			at = i + 2
		}
	}
}

// placeholder returns the name of a placeholder that text begins with.
func placeholder(text string) (name string, ok bool) {
	name, _, found := strings.Cut(text[2:], "}")
	if !found || name == "" {
		return "", false
	}
	for i, c := range []byte(name) {
		isLetter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !isLetter && (i == 0 || !(c >= '0' && c <= '9' || c == '.' || c == '-')) {
			return "", false
		}
	}
	return name, true
}

// literally returns the text with $${ unescaped and without regard to
// placeholders; for a scenario without a feed.
func literally(text string) string { return strings.ReplaceAll(text, "$${", "${") }
