package audit

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// marker is what a comment begins with that silences a finding:
//
//	# sailplan:ignore SP012 one replica on purpose: it is a cache
var marker = regexp.MustCompile(`#\s*sailplan:ignore\b[ \t]*([^\s#]*)[ \t]*(.*)$`)

// ignore is one such comment.
type ignore struct {
	file        string
	line        int
	code        string
	reason      string
	first, last int // the lines it is about
	wrong       string
	used        bool
}

type ignores struct{ all []*ignore }

// ignoresOf finds the comments in the files. A comment behind something is about
// that line and what belongs to it; one on a line of its own about what follows;
// and one at the head of an object about the whole object.
func ignoresOf(files []File, in *inspection) *ignores {
	found := &ignores{}
	codes := map[string]bool{}
	for _, rule := range Rules() {
		codes[rule.Code] = true
	}
	var byFile map[string][]mesh.Object
	for _, file := range files {
		if !bytes.Contains(file.Data, []byte("sailplan:ignore")) {
			continue
		}
		if byFile == nil {
			byFile = in.byFile()
		}
		objects := byFile[file.Name]
		lines, comments := in.lines[file.Name], 0
		for i, line := range lines {
			match := marker.FindStringSubmatch(line)
			if match == nil || inText(objects, i+1) {
				continue
			}
			if comments++; comments > mostIgnores {
				found.all = append(found.all, &ignore{file: file.Name, line: i + 1, wrong: fmt.Sprintf("the file has more than %d such comments; from here on they silence nothing", mostIgnores)})
				break
			}
			one := &ignore{file: file.Name, line: i + 1, code: match[1], reason: reasonIn(match[2])}
			switch {
			case !codes[one.code]:
				one.wrong = fmt.Sprintf("the comment names no rule: %q is not the code of one", one.code)
			case one.reason == "":
				one.wrong = "the comment says no reason, and silences nothing without one"
			default:
				one.first, one.last = reach(lines, i, objects)
			}
			found.all = append(found.all, one)
		}
	}
	return found
}

func (in *inspection) byFile() map[string][]mesh.Object {
	objects := map[string][]mesh.Object{}
	for _, object := range in.all {
		objects[object.File] = append(objects[object.File], object)
	}
	return objects
}

// reasonIn returns the reason in what follows the code, up to another comment.
func reasonIn(text string) string {
	reason, _, _ := strings.Cut(" "+text, " # ")
	return strings.TrimSpace(reason)
}

// inText reports whether a line lies inside a text of several lines, where # begins
// no comment.
func inText(objects []mesh.Object, line int) bool {
	o, found := objectAt(objects, line)
	return found && o.Root().IsInsideText(line)
}

// objectAt returns the object, of those of one file in their order, that the line
// may belong to: the last that begins there or above.
func objectAt(objects []mesh.Object, line int) (mesh.Object, bool) {
	at, exact := slices.BinarySearchFunc(objects, line, func(o mesh.Object, line int) int { return cmp.Compare(o.Root().Line(), line) })
	if !exact {
		at--
	}
	if at < 0 {
		return mesh.Object{}, false
	}
	return objects[at], true
}

// mostIgnores is how many comments of one file are looked at.
const mostIgnores = 500

// reach returns the lines that a comment on line at (from 0) is about.
func reach(lines []string, at int, objects []mesh.Object) (first, last int) {
	target := at
	for target < len(lines) {
		text := strings.TrimSpace(lines[target])
		if text != "" && text != "---" && !strings.HasPrefix(text, "#") {
			break
		}
		target++
	}
	line := target + 1
	if object, found := objectAt(objects, line); found && line <= object.Root().LastLine() {
		root := object.Root()
		// At its head, the comment is about all of the object.
		head := root.Line()
		for _, key := range []string{"apiVersion", "kind"} {
			if field := root.Get(key); field.Exists() {
				head = max(head, field.Line())
			}
		}
		if line <= head {
			return root.Line(), root.LastLine()
		}
		return line, root.LastLineAt(line)
	}
	return line, line
}

// silence reports whether a comment silences a finding of the rule there, and its
// reason.
func (s *ignores) silence(code, file string, line int) (string, bool) {
	for _, one := range s.all {
		if one.wrong == "" && one.file == file && one.code == code && line >= one.first && line <= one.last {
			one.used = true
			return one.reason, true
		}
	}
	return "", false
}

// findings returns what is wrong with the comments themselves.
func (s *ignores) findings() []Finding {
	rule := ignoreRule()
	var all []Finding
	for _, one := range s.all {
		f := Finding{Code: rule.Code, Rule: rule.Name, Severity: rule.Severity, Message: one.wrong, File: one.file, Line: one.line, Column: 1, Fix: rule.Fix}
		switch {
		case one.wrong != "":
			all = append(all, f)
		case !one.used:
			f.Severity, f.Message, f.Fix = Info, fmt.Sprintf("the comment silences nothing: %s has no finding here", one.code), ""
			all = append(all, f)
		}
	}
	return all
}
