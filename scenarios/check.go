package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// check tells what is wrong with a single value by what is known of its key;
// message is empty when nothing is.
func (f field) check(value reflect.Value) (message, hint string) {
	if value.Kind() == reflect.String {
		return f.checkText(value.String())
	}
	if f.least == "" && f.above == "" && f.most == "" && f.below == "" {
		return "", ""
	}
	number := magnitude(value)
	outside := f.least != "" && number < bound(value.Type(), f.least) ||
		f.above != "" && number <= bound(value.Type(), f.above) ||
		f.most != "" && number > bound(value.Type(), f.most) ||
		f.below != "" && number >= bound(value.Type(), f.below)
	if !outside {
		return "", ""
	}
	return fmt.Sprintf("must be %s, found %s", f.bounds(), spell(value)), ""
}

func (f field) checkText(text string) (message, hint string) {
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		choice := strings.Join(f.enum, " or ")
		if near, ok := Nearest(text, f.enum); ok {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return fmt.Sprintf("%q is not known: use %s", text, choice), hint
	}
	if f.pattern != "" && !expression(f.pattern).MatchString(text) {
		return fmt.Sprintf("%q is not allowed here", text), f.text
	}
	return "", ""
}

// bounds says in words what values are allowed.
func (f field) bounds() string {
	var parts []string
	for _, b := range []struct{ word, value string }{
		{"at least", f.least}, {"above", f.above}, {"at most", f.most}, {"below", f.below},
	} {
		if b.value != "" {
			parts = append(parts, b.word+" "+b.value)
		}
	}
	return strings.Join(parts, " and ")
}

// magnitude returns a value as a number in the base unit of its type, so that
// values of one type can be compared.
func magnitude(value reflect.Value) float64 {
	switch v := value.Interface().(type) {
	case Rate:
		return v.RPS()
	case Ratio:
		return float64(v)
	}
	switch value.Kind() {
	case reflect.Int, reflect.Int64:
		return float64(value.Int())
	case reflect.Uint64:
		return float64(value.Uint())
	case reflect.Float64:
		return value.Float()
	}
	return 0
}

// bound reads a bound of the field table. A bound that cannot be read is a
// defect of the table, which its test finds; it then excludes nothing.
func bound(t reflect.Type, text string) float64 {
	value := reflect.New(t).Elem()
	if err := setScalar(value, text, tagOf(text)); err != nil {
		return 0
	}
	return magnitude(value)
}

// tagOf returns the YAML tag of a plain value of the field table.
func tagOf(text string) string {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return "!!int"
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return "!!float"
	}
	return "!!str"
}
