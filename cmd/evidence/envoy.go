package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The ways in which a gateway is made worse: an HTTP filter before all others.
const (
	dearer = "dearer" // a filter that sets headers and takes them off again
	slower = "slower" // the fault filter, with a delay
)

// dearerHeaders is how many headers it sets; found by measuring, so that a request
// costs the gateway of regressions.yaml about 5 % more.
const dearerHeaders = 8

// slowerBy is the delay that makes the median latency of regressions.yaml about 10 %
// longer. Envoy's timers have a resolution of a millisecond.
const slowerBy = "0.001s"

// how says in words what makes a gateway worse.
func how(kind string) string {
	if kind == dearer {
		return fmt.Sprintf("%d headers", dearerHeaders)
	}
	return "a delay of " + slowerBy
}

// asEnvoy is the word with which this program takes the place of an Envoy.
const asEnvoy = "as-envoy"

// writeEnvoy writes a program into dir that is called as Envoy is and runs the real
// one with a worse gateway, and returns its path.
func writeEnvoy(dir, kind, envoy string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	path := filepath.Join(dir, "envoy-"+kind)
	text := fmt.Sprintf("#!/bin/sh\nexec %s %s %s %s \"$@\"\n", quote(self), asEnvoy, kind, quote(envoy))
	return path, os.WriteFile(path, []byte(text), 0o755)
}

// becomeEnvoy replaces this process by the real Envoy, whose configuration gets the
// filter of the kind when it is a gateway's.
func becomeEnvoy(kind, envoy string, args []string) error {
	if at := slices.Index(args, "--config-path"); at >= 0 && at+1 < len(args) {
		worse, err := worsen(args[at+1], kind)
		if err != nil {
			return err
		}
		args = slices.Clone(args)
		args[at+1] = worse
	}
	return syscall.Exec(envoy, append([]string{envoy}, args...), os.Environ())
}

// worsen writes a gateway's configuration with the filter of the kind beside it, and
// returns its name; a sidecar's stays as it is.
func worsen(file, kind string) (string, error) {
	if !strings.HasPrefix(filepath.Base(file), "gateway") {
		return file, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if text, err = withFilter(text, kind); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	name := strings.TrimSuffix(file, ".json") + "-" + kind + ".json"
	return name, os.WriteFile(name, text, 0o600)
}

// headerMutations sets so many headers, and then takes them off, so that what goes on
// to the service is what came.
func headerMutations(n int) []any {
	var all []any
	for i := range n {
		all = append(all, map[string]any{"append": map[string]any{
			"header": map[string]any{"key": fmt.Sprintf("x-evidence-%d", i), "value": "%REQ(:path)%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
		}})
	}
	for i := range n {
		all = append(all, map[string]any{"remove": fmt.Sprintf("x-evidence-%d", i)})
	}
	return all
}

// withFilter puts the filter of the kind before the others of every connection manager.
func withFilter(config []byte, kind string) ([]byte, error) {
	filter, known := map[string]any{
		dearer: map[string]any{"name": "envoy.filters.http.header_mutation", "typed_config": map[string]any{
			"@type":     "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
			"mutations": map[string]any{"request_mutations": headerMutations(dearerHeaders)},
		}},
		slower: map[string]any{"name": "envoy.filters.http.fault", "typed_config": map[string]any{
			"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
			"delay": map[string]any{"fixed_delay": slowerBy, "percentage": map[string]any{"numerator": 100}},
		}},
	}[kind]
	if !known {
		return nil, fmt.Errorf("no way to make a gateway worse is called %q", kind)
	}
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		return nil, err
	}
	found := 0
	var walk func(node any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if filters, ok := node["http_filters"].([]any); ok {
				node["http_filters"] = append([]any{filter}, filters...)
				found++
			}
			for _, child := range node {
				walk(child)
			}
		case []any:
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(tree)
	if found == 0 {
		return nil, errors.New("it has no HTTP filters")
	}
	return json.Marshal(tree)
}
