package scenarios_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestExamplesResolve(t *testing.T) {
	for _, name := range scenarios.Examples() {
		t.Run(name, func(t *testing.T) {
			data, ok := scenarios.Example(name)
			if !ok {
				t.Fatalf("no text for example %s", name)
			}
			dir := t.TempDir()
			for file, text := range exampleFiles() {
				writeFile(t, filepath.Join(dir, file), text)
			}
			s, err := scenarios.Decode(filepath.Join(dir, name+".yaml"), data)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := scenarios.Resolve(*s)
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Phases) == 0 {
				t.Error("got no phases, want those of run")
			}
		})
	}
	if _, ok := scenarios.Example("../examples/init"); ok {
		t.Error("got a text for a name that is not an example")
	}
}

// exampleFiles are the files that examples name.
func exampleFiles() map[string]string {
	return map[string]string{
		"ca.pem": "", "token": "secret", "shop.pb": "", "order.json": `{"user": "${id}"}`,
		"users.csv": "id,name,basket\n1,Ada,3\n", "friday.csv": "seconds,rate\n0,100\n3600,200\n",
	}
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestInitComments takes the comment signs off the keys of the init example, and
// wants them to be valid as well.
func TestInitComments(t *testing.T) {
	data, _ := scenarios.Example("init")
	text := regexp.MustCompile(`(?m)^lab:\n(.*\n)*?# A system`).ReplaceAllString(string(data), "# A system")
	text = regexp.MustCompile(`(?m)^(\s*)# (\s*(- )?[a-zA-Z0-9]+:( .*)?)$`).ReplaceAllString(text, "$1$2")
	s, err := scenarios.Decode("init.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := scenarios.Validate(scenarios.Defaults(*s)); err != nil {
		t.Error(err)
	}
	if s.Lab != nil || s.Target == nil || len(s.Observe.Components) != 2 || len(s.Guards.AbortWhen) != 1 || s.Requests[1].Body == "" {
		t.Errorf("some keys are still comments:\n%s", text)
	}
}

// TestInitExplainsEveryKey wants each key of the format in the init example.
func TestInitExplainsEveryKey(t *testing.T) {
	data, _ := scenarios.Example("init")
	for _, key := range scenarios.Keys() {
		name := key[strings.LastIndexAny(key, ".]")+1:]
		if !regexp.MustCompile(`\b` + name + `:`).Match(data) {
			t.Errorf("%s is not in the example", key)
		}
	}
}
