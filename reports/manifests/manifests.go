package manifests

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/scenarios"
)

// File is one manifest.
type File struct {
	// Name is a path with slashes below the folder of manifests. Patches are in
	// a folder of their own, so that applying the folder does not take them for
	// whole objects.
	Name    string
	Content []byte
}

const (
	extension        = ".yaml"
	exampleExtension = ".yaml.example"
	patchFolder      = "patches/"
)

const (
	// evidenceTarget is the evidence from a system of the user's: only that may be
	// applied as it is.
	evidenceTarget = "target"
	// evidenceObserved is that of a system of the user's that was only watched.
	evidenceObserved = "observed"
)

// object is an API object with the comments for its YAML.
type object struct {
	name     string // of the file, without extension
	value    any    // of an API type
	usage    string // how to apply it
	example  string // why it cannot be applied as it is, whatever the evidence; "": it can
	comments []comment
}

// comment belongs above the field at a path: names and indexes separated by
// slashes, "" for the object itself; ~1 is a slash within a name, as in RFC 6901.
type comment struct{ path, text string }

// Files returns the manifests of a result, in a fixed order and with names that
// depend on the result alone. A result that recommends nothing has none.
//
// It is an error when a quantity or a duration of the recommendation cannot be
// read, or a limit is beyond what its field can hold.
func Files(result analysis.Result) ([]File, error) {
	if result.Outcome != analysis.Recommended && result.Outcome != analysis.Contradicted {
		return nil, nil
	}
	objects, err := objectsOf(result)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, o := range objects {
		end := extension
		if exampleReason(result, o) != "" {
			end = exampleExtension
		}
		content, err := render(o, header(result, o))
		if err != nil {
			return nil, fmt.Errorf("manifest %s: %w", o.name, err)
		}
		files = append(files, File{o.name + end, content})
	}
	return files, nil
}

// servicesSized reports whether a service gets objects of its own. Its pods are
// the sidecars' pods, and Kubernetes evicts no pod that two budgets select.
func servicesSized(result analysis.Result) bool {
	return slices.ContainsFunc(result.Components, func(c analysis.Component) bool {
		return c.Role == string(scenarios.RoleService) && c.Replicas != nil
	})
}

func objectsOf(result analysis.Result) ([]object, error) {
	var objects []object
	names := namesOf(result)
	for i, c := range result.Components {
		name := names[i]
		c, err := firstScaling(c, result.Staged)
		if err != nil {
			return nil, fmt.Errorf("autoscaler of %q: %w", c.Name, err)
		}
		if c.HPA != nil {
			o, err := autoscaler(c, name)
			if err != nil {
				return nil, fmt.Errorf("autoscaler of %q: %w", c.Name, err)
			}
			objects = append(objects, o)
		}
		if c.Signal != nil {
			o, err := scaled(c, name)
			if err != nil {
				return nil, fmt.Errorf("scaled object of %q: %w", c.Name, err)
			}
			objects = append(objects, o)
		}
		if c.Replicas != nil && c.Replicas.Value >= 2 && !(c.Role == string(scenarios.RoleSidecar) && servicesSized(result)) {
			objects = append(objects, disruptionBudget(c, name))
			if c.Replicas.MaxUnavailable != "" {
				objects = append(objects, rollout(c, name))
			}
		}
		if c.Resources != nil {
			o, err := resources(c, name, result.Staged)
			if err != nil {
				return nil, fmt.Errorf("resources of %q: %w", c.Name, err)
			}
			objects = append(objects, o)
		}
		if c.Connections != nil && c.Connections.MaxSeconds > 0 && c.Replicas != nil {
			o, err := connectionLifetime(c, name)
			if err != nil {
				return nil, fmt.Errorf("lifetime of connections to %q: %w", c.Name, err)
			}
			objects = append(objects, o)
		}
		o, ok, err := helmValues(c, name, result.Staged)
		if err != nil {
			return nil, fmt.Errorf("values of %q: %w", c.Name, err)
		}
		if ok {
			objects = append(objects, o)
		}
	}
	if result.ConnectionPool != nil {
		o, err := destinationRule(*result.ConnectionPool, result.Staged)
		if err != nil {
			return nil, fmt.Errorf("connection pool of %q: %w", result.ConnectionPool.Host, err)
		}
		objects = append(objects, o)
	}
	if o, ok := prometheusRule(result, names); ok {
		objects = append(objects, o)
	}
	return objects, nil
}

// exampleReason says why an object is an example; "" when it is not.
func exampleReason(result analysis.Result, o object) string {
	var reasons []string
	if o.example != "" {
		reasons = append(reasons, o.example)
	}
	if result.Outcome == analysis.Contradicted {
		reasons = append(reasons, "The proof contradicts the prediction behind these numbers: "+sentence(result.OutcomeReason))
	}
	switch {
	case string(result.Evidence) == evidenceTarget:
	case result.Lab != nil && result.Lab.EnvoyVersion != "":
		reasons = append(reasons, fmt.Sprintf("It was measured in a lab with Envoy %s on one machine. That is not an Istio proxy with telemetry on your nodes.", result.Lab.EnvoyVersion))
	case result.Lab != nil && result.Lab.Kind == "embedded":
		reasons = append(reasons, "It was measured with the embedded stand-in, which is not Envoy at all.")
	case string(result.Evidence) == evidenceObserved:
		reasons = append(reasons, "It was computed from what production showed under its own load: nothing was tried, and nothing was proved.")
	default:
		reasons = append(reasons, "It was not measured on a system of yours.")
	}
	if string(result.Evidence) != evidenceTarget && result.Lab != nil && !result.Lab.LimitsEnforced {
		reasons = append(reasons, "No CPU or memory limit was enforced.")
	}
	return strings.Join(reasons, " ")
}

// header is the comment above everything.
func header(result analysis.Result, o object) []string {
	tool := strings.TrimSpace(result.Tool.Name + " " + result.Tool.Version)
	if tool == "" {
		tool = "sailplan"
	}
	lines := []string{fmt.Sprintf("Written by %s from the sizing of %q, started %s, seed %d.", tool, result.Scenario, result.StartedAt, result.Seed)}
	if reason := exampleReason(result, o); reason != "" {
		lines = append(lines, "EXAMPLE, not to be applied as it is. "+reason)
	}
	if string(result.Evidence) != evidenceTarget || result.Outcome == analysis.Contradicted {
		lines = append(lines, "What may be applied comes from a sizing of your own target whose proof agrees.")
	}
	return append(lines, o.usage)
}

// sentence ends text as a sentence, so that another may follow.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// namesOf returns a Kubernetes name for each component, no two alike.
func namesOf(result analysis.Result) []string {
	taken := map[string]bool{}
	names := make([]string, len(result.Components))
	for i, c := range result.Components {
		name := kubernetesName(c.Name)
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s-%d", kubernetesName(c.Name), n)
		}
		taken[name] = true
		names[i] = name
	}
	return names
}

// longestName leaves room for a suffix within the 63 characters of a DNS label.
const longestName = 40

// kubernetesName turns any text into a DNS label (RFC 1123): lower-case letters,
// digits, and hyphens inside.
func kubernetesName(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= longestName {
			break
		}
	}
	name := strings.Trim(b.String(), "-")
	if name == "" {
		return "unnamed"
	}
	return name
}
