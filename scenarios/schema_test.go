package scenarios_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/sailplan-io/sailplan/scenarios"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(scenarios.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("scenario.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// instance reads YAML the way an editor does: without our decoder.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSchemaAcceptsExamples(t *testing.T) {
	compiled := compileSchema(t)
	for _, name := range scenarios.Examples() {
		t.Run(name, func(t *testing.T) {
			text, _ := scenarios.Example(name)
			if err := compiled.Validate(instance(t, text)); err != nil {
				t.Error(err)
			}
			full := scenarios.Defaults(exampleScenario(t, name))
			encoded, err := scenarios.Encode(full)
			if err != nil {
				t.Fatal(err)
			}
			if err := compiled.Validate(instance(t, encoded)); err != nil {
				t.Errorf("with defaults: %v", err)
			}
		})
	}
}

// TestBadFiles holds the schema and the decoder to the same verdict on every
// file of testdata/bad.
func TestBadFiles(t *testing.T) {
	compiled := compileSchema(t)
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("got %d files, error %v, want at least 20", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := compiled.Validate(instance(t, text)); err == nil {
				t.Error("the schema accepts the file")
			}
			if err := decodeAndValidate(file, text); err == nil {
				t.Error("the decoder accepts the file")
			}
		})
	}
}

func decodeAndValidate(name string, text []byte) error {
	s, err := scenarios.Decode(name, text)
	if err != nil {
		return err
	}
	return scenarios.Validate(scenarios.Defaults(*s))
}

// TestSpellings holds the patterns of the schema to what the parsers take.
func TestSpellings(t *testing.T) {
	compiled := compileSchema(t)
	for key, values := range map[string][]string{
		"load: {rate: %s}":                    {"5000/s", "2.5k/s", "90/m", "90/min", "10/h", "3/7s", "1.234/s", "0.001/s", "5000", "/s", "5/d", "-5/s", "1e3/s", "0x5/s", "5 /s", "5/s ", "1.2345/s", "0/s"},
		"load: {timeout: %s}":                 {"50ms", "1m30s", "1.5s", "10", "-1s", "1d", "1h1h", "s", ".5s", "+1s", "1us", "1µs", "1ns", "0.0s"},
		"guards: {maxErrorRatio: %s}":         {"20%", "0.2", "1", "100%", "1e-3", "0", "101%", "1.5", "-1", "20 %", "abc", "'%'", "0.1e-1", ".5", `"0.2"`},
		"lab: {service: {responseBytes: %s}}": {"1024", "1Ki", "0.5Ki", "64Mi", "1k", "65Mi", "1B", "0.5", "-1", "1.5", "1e3", "512m", `"1024"`},
		"lab: {gateway: {limits: {cpu: %s}}}": {"1", "0.5", "500m", "0.25", "-1", "1k", "abc", `"1"`, "1.5"},
		"lab: {gateway: {concurrency: %s}}":   {"1", "1024", "0", "-1", "1025", "1.5", `"1"`, "true"},
	} {
		for _, value := range values {
			t.Run(fmt.Sprintf(key, value), func(t *testing.T) {
				text := "apiVersion: sailplan.io/v1\nkind: Scenario\nmetadata: {name: x}\n"
				if key[:3] != "lab" {
					text += "lab: {}\n"
				}
				text += fmt.Sprintf(key, value) + "\n"
				bySchema := compiled.Validate(instance(t, []byte(text)))
				_, byDecoder := scenarios.Decode("f.yaml", []byte(text))
				if bySchema != nil && byDecoder == nil {
					t.Errorf("the schema refuses what the decoder accepts: %v", bySchema)
				}
				if bySchema == nil && byDecoder != nil {
					t.Logf("only the decoder refuses: %v", byDecoder)
				}
			})
		}
	}
}
