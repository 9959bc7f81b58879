package audit

import "slices"

// Rule is one thing that an audit looks for.
type Rule struct {
	Code     string   // "SP" and three digits; never given to another rule
	Name     string   // a few words with dashes
	Severity Severity // what its findings have, unless one says otherwise
	Title    string
	Why      string   // what happens, and when; one paragraph
	Fix      string   // YAML that puts it right; empty where only the user can know
	Caution  []string // what to know, or to do first, before the fix is applied
	check    func(*inspection) []hit
}

// Rules returns all rules, in the order of their codes.
func Rules() []Rule {
	return slices.Concat(readingRules(), limitRules(), ejectionRules(), connectionRules(), routeRules(), trustRules(), gatewayRules(), egressRules(), installRules(), scalingRules(), workloadRules(), telemetryRules())
}

// ignoreRule is about the comments that silence others.
func ignoreRule() Rule { return readingRules()[3] }

func readingRules() []Rule {
	return []Rule{
		{
			Code: "SP001", Name: "unknown-field", Severity: Error, Title: "A field that its kind does not have",
			Why:   "The API server removes what the kind does not have, and Istio's own validation says nothing of it. So the setting is in the file, was reviewed, and is not in force.",
			check: func(in *inspection) []hit { return faults(in, true, false) },
		},
		{
			Code: "SP002", Name: "refused-value", Severity: Error, Title: "A value that is refused",
			Why:   "The API server or Istio's webhook refuses the object, and what was in force before stays in force. Found here before it is found in a roll-out.",
			check: func(in *inspection) []hit { return faults(in, false, false) },
		},
		{
			Code: "SP003", Name: "unknown-chart-value", Severity: Warning, Title: "A value that the chart does not have",
			Why:   "Helm hands every value to the chart, and a chart does not look at what it does not know. So a misspelt value installs the default without a word.",
			check: func(in *inspection) []hit { return faults(in, true, true) },
		},
		{
			Code: "SP004", Name: "ignore-without-reason", Severity: Warning, Title: "A comment that silences without a reason",
			Why:   "Whoever reads the file next has to be able to tell an accepted risk from a forgotten one. A comment without a reason, or with a code that no rule has, silences nothing.",
			Fix:   "# sailplan:ignore SP012 a cache; one replica on purpose, losing it costs two slow minutes",
			check: func(*inspection) []hit { return nil },
		},
	}
}

// faults turns what the reader found into hits: fields that are not known, of
// charts or of kinds, or values that are refused.
func faults(in *inspection, unknown, chart bool) []hit {
	var hits []hit
	for _, o := range in.all {
		isChart := o.APIVersion == ""
		for _, fault := range o.Faults {
			if fault.Unknown != unknown || unknown && isChart != chart {
				continue
			}
			message := fault.Path + ": " + fault.Message
			if fault.Unknown {
				message = fault.Path + " does not exist"
			}
			h := hit{object: o, at: o.Root(), problem: &fault.Problem}
			if fault.Hint != "" {
				message += "; " + fault.Hint
			}
			h.message = message
			if o.Kind == "Sidecar" && fault.Path == "spec.resources" {
				h.message = "spec.resources does not exist: a Sidecar says what a proxy knows, not what it may use. The proxy's size is an annotation of the pod, or global.proxy.resources"
				h.fix, h.caution = proxySize, []string{sizesFromMeasurement}
			}
			hits = append(hits, h)
		}
	}
	return hits
}

// proxySize is how a proxy gets its size: all four together.
const proxySize = `spec:
  template:
    metadata:
      annotations:
        sidecar.istio.io/proxyCPU: 100m
        sidecar.istio.io/proxyMemory: 128Mi
        sidecar.istio.io/proxyCPULimit: "1"
        sidecar.istio.io/proxyMemoryLimit: 512Mi
`
