package scenarios

import (
	"reflect"
)

// Keys returns the paths of all keys.
func Keys() []string {
	var keys []string
	eachKey("", scenarioType(), func(path, _ string) { keys = append(keys, path) })
	return keys
}

// EachDefault calls visit for every key of the field table that has a default,
// with a function that spells the value of the key in a scenario whose lists
// have one item.
func EachDefault(visit func(path, want string, get func(Scenario) string)) {
	table := fields()
	var walk func(path string, t reflect.Type, get func(reflect.Value) reflect.Value)
	walk = func(path string, t reflect.Type, get func(reflect.Value) reflect.Value) {
		switch {
		case t.Kind() == reflect.Pointer:
			walk(path, t.Elem(), func(s reflect.Value) reflect.Value {
				if p := get(s); p.IsValid() && !p.IsNil() {
					return p.Elem()
				}
				return reflect.Value{}
			})
		case t.Kind() == reflect.Slice && !isScalarType(t):
			walk(path+"[0]", t.Elem(), func(s reflect.Value) reflect.Value {
				if list := get(s); list.IsValid() && list.Len() > 0 {
					return list.Index(0)
				}
				return reflect.Value{}
			})
		case t.Kind() == reflect.Struct && !isScalarType(t):
			for key, index := range sortedKeys(t) {
				child := func(s reflect.Value) reflect.Value {
					if parent := get(s); parent.IsValid() {
						return parent.Field(index)
					}
					return reflect.Value{}
				}
				if f := table[t.Name()+"."+key]; f.initial != "" {
					want := reflect.New(t.Field(index).Type).Elem()
					if err := setScalar(want, f.initial, tagOf(f.initial)); err != nil {
						panic(err)
					}
					visit(join(path, key), spell(want), func(s Scenario) string {
						if value := child(reflect.ValueOf(s)); value.IsValid() {
							return spell(value)
						}
						return spell(want) // the scenario has no such part
					})
				}
				walk(join(path, key), t.Field(index).Type, child)
			}
		}
	}
	walk("", scenarioType(), func(s reflect.Value) reflect.Value { return s })
}

// TableProblems returns what is wrong with the field table: keys without an
// entry, entries without a key, bounds and examples that cannot be read.
func TableProblems() []string {
	var problems []string
	table := fields()
	seen := make(map[string]bool)
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || isScalarType(t) {
			return
		}
		for key, index := range sortedKeys(t) {
			name, ft := t.Name()+"."+key, t.Field(index).Type
			f, known := table[name]
			seen[name] = true
			if !known || f.text == "" {
				problems = append(problems, name+" has no entry or no text")
			}
			if isScalarType(ft) {
				for _, text := range append([]string{f.least, f.above, f.most, f.below, f.initial}, f.examples...) {
					value := reflect.New(ft).Elem()
					if text == "" {
						continue
					}
					if err := setScalar(value, text, tagOf(text)); err != nil {
						problems = append(problems, name+": "+err.Error())
					}
				}
				for _, text := range append([]string{f.initial}, f.examples...) {
					value := reflect.New(ft).Elem()
					if text == "" {
						continue
					}
					if err := setScalar(value, text, tagOf(text)); err == nil {
						if message, _ := f.check(value); message != "" {
							problems = append(problems, name+": "+text+": "+message)
						}
					}
				}
			}
			walk(ft)
		}
	}
	walk(scenarioType())
	for name := range table {
		if !seen[name] {
			problems = append(problems, name+" is no key")
		}
	}
	return problems
}
