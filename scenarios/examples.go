package scenarios

import (
	"embed"
	"slices"
	"strings"
)

//go:embed examples/*.yaml
var exampleFiles embed.FS

// Examples returns the names of the built-in examples: "init" is the commented
// one that explains every key, "quickstart" what `size` takes without a
// scenario, "target" a mesh that runs already. For `run` there are "run" with a
// feed, a credential and checks, "grpc", and "shape" with a rate that changes.
func Examples() []string {
	entries, err := exampleFiles.ReadDir("examples")
	if err != nil {
		return nil // the folder is part of the binary
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Example returns the text of a built-in example.
func Example(name string) ([]byte, bool) {
	if !slices.Contains(Examples(), name) {
		return nil, false
	}
	data, err := exampleFiles.ReadFile("examples/" + name + ".yaml")
	return data, err == nil
}
