package record

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestOpensVersion1 reads records that the first version wrote. They are never
// written anew: what they hold is what users have.
func TestOpensVersion1(t *testing.T) {
	finished, err := Open(filepath.Join("testdata", "v1-finished"))
	if err != nil {
		t.Fatal(err)
	}
	if len(finished.Warnings) != 0 || finished.Ended != EndedDone || len(finished.Data) != 2 {
		t.Errorf("warnings %q, ended %q, %d phases", finished.Warnings, finished.Ended, len(finished.Data))
	}
	checkExamplePhase(t, finished.Data[1], 6*time.Second, 3)
	want := exampleHeader()
	if finished.Scenario.Metadata.Name != "checkout" || finished.Scenario.Requests[1].Path != want.Scenario.Requests[1].Path ||
		!reflect.DeepEqual(finished.Scenario.Demand, want.Scenario.Demand) || finished.Scenario.Seed != want.Scenario.Seed {
		t.Errorf("scenario = %+v", finished.Scenario)
	}
	if !finished.StartedAt.Equal(exampleAnchor()) || finished.Host != want.Host || finished.Tool != want.Tool || finished.Seed != 7 {
		t.Errorf("run = %+v", finished.Run)
	}
	if got, want := finished.Phases[1].Statuses, exampleFacts(0, 3).Statuses; !reflect.DeepEqual(got, want) {
		t.Errorf("statuses = %v, want %v", got, want)
	}
	killed, err := Open(filepath.Join("testdata", "v1-killed"))
	if err != nil {
		t.Fatal(err)
	}
	if len(killed.Data) != 2 || !killed.Data[1].Unfinished || !reflect.DeepEqual(killed.Data[1].Spec, exampleSpec("high", 3)) ||
		killed.Data[1].Counts != exampleCounts(3) || killed.Data[1].Latency.TotalCount() != 300 {
		t.Errorf("killed run: %+v", killed.Data)
	}
}

// TestFormatIsDocumented looks for every field and metric in FORMAT.md.
func TestFormatIsDocumented(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	seen := map[reflect.Type]bool{}
	var fields func(reflect.Type)
	fields = func(kind reflect.Type) {
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice || kind.Kind() == reflect.Map {
			kind = kind.Elem()
		}
		if kind.Kind() != reflect.Struct || seen[kind] || kind.PkgPath() != reflect.TypeFor[Run]().PkgPath() {
			return
		}
		seen[kind] = true
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(document, "`"+name+"`") {
				t.Errorf("FORMAT.md does not name %s of %s", name, kind)
			}
			fields(kind.Field(i).Type)
		}
	}
	fields(reflect.TypeFor[Run]())
	fields(reflect.TypeFor[Tick]())
	fields(reflect.TypeFor[Sample]())
	fields(reflect.TypeFor[Event]())

	source, err := os.ReadFile("series.go")
	if err != nil {
		t.Fatal(err)
	}
	constants := regexp.MustCompile(`(?m)^\t\w+ +(?:Metric|EventKind) += "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(constants) < 30 {
		t.Fatalf("only %d metrics and kinds of event found", len(constants))
	}
	for _, constant := range constants {
		if !strings.Contains(document, "`"+constant[1]+"`") {
			t.Errorf("FORMAT.md does not name %s", constant[1])
		}
	}
}

// TestFormatExamples finds the example lines of FORMAT.md in a real record.
func TestFormatExamples(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	var record strings.Builder
	for _, name := range []string{latencyFile, timelineFile, samplesFile, eventsFile} {
		content, err := os.ReadFile(filepath.Join("testdata", "v1-finished", name))
		if err != nil {
			t.Fatal(err)
		}
		record.Write(content)
	}
	examples := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "{") && !strings.HasPrefix(line, "Tag=0") && !strings.HasPrefix(line, "#[") {
			continue
		}
		examples++
		if !strings.Contains(record.String(), line) {
			t.Errorf("not a line of the record: %s", line)
		}
	}
	if examples < 6 {
		t.Errorf("%d examples, want at least 6", examples)
	}
}
