package feed

import (
	"maps"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios"
)

// form is how a value is written where it stands.
type form uint8

// The forms.
const (
	plainForm  form = iota
	pathForm        // percent-encoded
	headerForm      // as it is, without control characters
	quotedForm      // inside the quotes of a JSON string
	valueForm       // a JSON value
)

// cell is a column in a form; each is prepared once a row.
type cell struct {
	column string
	form   form
}

// piece of a template: text, and behind it a cell, or none for −1.
type piece struct {
	text string
	cell int
}

// template is a text with cells in it.
type template []piece

// kind is one kind of request: what of it varies. Nil parts don't.
type kind struct {
	path    template
	headers []header
	body    template
	isCall  bool
}

type header struct {
	name  string
	value template
}

func (k *kind) varies() bool { return k.path != nil || k.headers != nil || k.body != nil }

// compiler collects the cells of all templates.
type compiler struct{ cells []cell }

func (c *compiler) cell(column string, f form) int {
	want := cell{column, f}
	if i := slices.Index(c.cells, want); i >= 0 {
		return i
	}
	c.cells = append(c.cells, want)
	return len(c.cells) - 1
}

// compile splits a text at its placeholders; nil when it has none. formAt gives
// the form of each by what comes before it.
func (c *compiler) compile(text string, formAt func(before string) form) template {
	parts, _ := scenarios.SplitTemplate(text)
	if !hasPlaceholder(parts) {
		return nil
	}
	var t template
	var before string
	for _, part := range parts {
		if part.Name == "" {
			before += part.Text
			t = append(t, piece{part.Text, -1})
			continue
		}
		i := c.cell(part.Name, formAt(before))
		if n := len(t); n > 0 && t[n-1].cell < 0 {
			t[n-1].cell = i
		} else {
			t = append(t, piece{"", i})
		}
		before = "" // formAt has seen it
	}
	return t
}

func hasPlaceholder(parts []scenarios.TemplatePart) bool {
	return slices.ContainsFunc(parts, func(p scenarios.TemplatePart) bool { return p.Name != "" })
}

func always(f form) func(string) form { return func(string) form { return f } }

// inJSON tells whether a place is inside quotes, from pieces of a JSON text that
// come in order.
func inJSON() func(before string) form {
	quoted, escaped := false, false
	return func(before string) form {
		for _, c := range []byte(before) {
			switch {
			case escaped:
				escaped = false
			case quoted && c == '\\':
				escaped = true
			case c == '"':
				quoted = !quoted
			}
		}
		if quoted {
			return quotedForm
		}
		return valueForm
	}
}

// isJSON reports whether a request's body is JSON.
func isJSON(r scenarios.Request) bool {
	for name, value := range r.Headers {
		if strings.EqualFold(name, "content-type") {
			return strings.Contains(strings.ToLower(value), "json")
		}
	}
	body := strings.TrimLeft(r.Body, " \t\r\n")
	return strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[")
}

// request compiles one kind. prefix comes before every path.
func (c *compiler) request(r scenarios.Request, prefix string) kind {
	k := kind{isCall: r.GRPC != nil}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		if value := c.compile(r.Headers[name], always(headerForm)); value != nil {
			k.headers = append(k.headers, header{strings.ToLower(name), value})
		}
	}
	if k.isCall {
		k.body = c.compile(r.GRPC.Message, inJSON())
		return k
	}
	if k.path = c.compile(r.Path, always(pathForm)); k.path != nil {
		k.path = append(template{{prefix, -1}}, k.path...)
	}
	formAt := always(plainForm)
	if isJSON(r) {
		formAt = inJSON()
	}
	k.body = c.compile(r.Body, formAt)
	return k
}

// Fixed returns the requests without what varies: a path, body or message with a
// placeholder is empty, and a header with one is not there. In what stays,
// $${ has become ${. The requests are those of a plan that has a feed; body
// files are read already.
func Fixed(requests []scenarios.Request) []scenarios.Request {
	fixed := func(text string) string {
		parts, _ := scenarios.SplitTemplate(text)
		if hasPlaceholder(parts) {
			return ""
		}
		return join(parts)
	}
	out := slices.Clone(requests)
	for i, r := range requests {
		out[i].Path, out[i].Body = fixed(r.Path), fixed(r.Body)
		if r.GRPC != nil {
			call := *r.GRPC
			call.Message = fixed(call.Message)
			out[i].GRPC, out[i].Path = &call, r.Path
		}
		if r.Headers == nil {
			continue
		}
		out[i].Headers = make(map[string]string)
		for name, value := range r.Headers {
			if parts, _ := scenarios.SplitTemplate(value); !hasPlaceholder(parts) {
				out[i].Headers[name] = join(parts)
			}
		}
	}
	return out
}

// join puts parts without placeholders together.
func join(parts []scenarios.TemplatePart) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(part.Text)
	}
	return b.String()
}
