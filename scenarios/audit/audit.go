package audit

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// File is one file to be audited.
type File struct {
	Name string // as it appears in the findings
	Data []byte
}

// Severity says how bad a finding is.
type Severity string

// The severities. An error does not do what it says, or takes a service down; a
// warning does so under load, on a failure, or later; an info is good to know.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Info}, s) }

// Finding is one place that a rule is about.
type Finding struct {
	Code     string   `json:"code"`
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Object   string   `json:"object,omitempty"` // kind and name
	Path     string   `json:"path,omitempty"`   // of the field
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Fix      string   `json:"fix,omitempty"`     // YAML
	Caution  []string `json:"caution,omitempty"` // what to know, or to do first, before the fix is applied
}

// Silenced is a finding that a comment in the file silences.
type Silenced struct {
	Finding
	Reason string `json:"reason"`
}

// Unreadable is a file, or a part of one, that could not be audited.
type Unreadable struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Count is a number of things of a kind.
type Count struct {
	What  string `json:"what"`
	Count int    `json:"count"`
}

// Result is what an audit found.
type Result struct {
	Files      int          `json:"files"`
	Read       []Count      `json:"read"`    // objects that were audited, by kind
	Skipped    []Count      `json:"skipped"` // objects and files that were not, by kind
	Findings   []Finding    `json:"findings"`
	Silenced   []Silenced   `json:"silenced"`
	LeftOut    []Count      `json:"leftOut,omitempty"` // findings beyond those that are kept, as "SP011 in a.yaml"
	Unreadable []Unreadable `json:"unreadable"`
	Practices  []Practice   `json:"practices"`
	Measured   *Comparison  `json:"measured,omitempty"` // with a run only
}

// Comparison is what the files were held to beside the rules.
type Comparison struct {
	Run  string   `json:"run"`
	Says []string `json:"says"` // the numbers in use, in words
}

// Number returns how many findings have the severity.
func (r Result) Number(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// most is how many findings of one rule are kept for one file: nobody reads more,
// and a file that a program wrote may have as many as lines.
const most = 50

// Audit holds the files to the rules and to the practices.
func Audit(files []File, measured Measured) Result {
	in := inspect(files)
	in.measured = measured
	result := Result{Files: len(files), Read: []Count{}, Skipped: []Count{}, Findings: []Finding{}, Silenced: []Silenced{}, Unreadable: in.unreadable}
	if measured.Source != "" {
		result.Measured = &Comparison{measured.Source, measured.Says()}
	}
	read, skipped := map[string]int{}, map[string]int{}
	for _, object := range in.all {
		if object.Note == "" {
			read[object.Kind]++
		} else {
			skipped[cmp.Or(object.Kind, "files without kind")]++
		}
	}
	result.Read, result.Skipped = counts(read), counts(skipped)

	ignores := ignoresOf(files, in)
	in.look()
	kept := map[string]int{}
	for _, rule := range Rules() {
		for _, h := range in.found[rule.Code] {
			file, line, _ := h.place()
			if reason, silenced := ignores.silence(rule.Code, file, line); silenced {
				result.Silenced = append(result.Silenced, Silenced{h.finding(rule), reason})
				continue
			}
			key := rule.Code + " in " + file
			if kept[key]++; kept[key] <= most {
				result.Findings = append(result.Findings, h.finding(rule))
			}
		}
	}
	for key, n := range kept {
		kept[key] = max(0, n-most)
	}
	maps.DeleteFunc(kept, func(_ string, left int) bool { return left == 0 })
	if len(kept) > 0 {
		result.LeftOut = counts(kept)
	}
	result.Findings = append(result.Findings, ignores.findings()...)
	slices.SortStableFunc(result.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(a.Code, b.Code), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	all := practices()
	result.Practices = make([]Practice, len(all))
	atOnce(len(all), func(i int) { result.Practices[i] = all[i].judge(in) })
	return result
}

func counts(of map[string]int) []Count {
	all := make([]Count, 0, len(of))
	for what, n := range of {
		all = append(all, Count{what, n})
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.What, b.What)) })
	return all
}

// hit is a place that a rule is about.
type hit struct {
	object   mesh.Object
	at       mesh.Field
	message  string
	severity Severity // empty: the rule's
	fix      string   // empty: the rule's
	caution  []string // beside the rule's
	problem  *scenarios.Problem
}

// place is where a hit is.
func (h hit) place() (file string, line, column int) {
	if h.problem != nil {
		return h.problem.File, h.problem.Line, h.problem.Column
	}
	return h.at.File(), h.at.Line(), h.at.Column()
}

func (h hit) finding(rule Rule) Finding {
	f := Finding{
		Code: rule.Code, Rule: rule.Name, Severity: cmp.Or(h.severity, rule.Severity), Message: h.message,
		Object: nameOf(h.object), Fix: cmp.Or(h.fix, rule.Fix), Caution: slices.Concat(rule.Caution, h.caution),
	}
	f.File, f.Line, f.Column = h.place()
	if h.problem != nil {
		f.Path = h.problem.Path
	} else {
		f.Path = h.at.Path()
	}
	return f
}

// nameOf is how an object is called in findings.
func nameOf(o mesh.Object) string {
	switch {
	case o.Name == "" || o.Name == o.Kind:
		return o.Kind
	case o.Namespace == "":
		return o.Kind + " " + o.Name
	}
	return fmt.Sprintf("%s %s/%s", o.Kind, o.Namespace, o.Name)
}

// inspection is what the files hold, and how it belongs together.
type inspection struct {
	files      []File
	all        []mesh.Object
	byKind     map[string][]mesh.Object
	unreadable []Unreadable
	measured   Measured

	lines    map[string][]string      // of each file
	services map[string][]mesh.Object // by name
	rules    map[string][]mesh.Object // DestinationRules by hostKey
	routed   map[string][]route       // by hostKey of a destination
	labelled map[string][]mesh.Object // Deployments and StatefulSets by each label of their pods
	scalers  map[string][]mesh.Object // autoscalers by the name of what they scale
	entries  map[string][]mesh.Object // ServiceEntries by host
	allowing map[string][]mesh.Object // policies that allow, by a label that they select
	clear    map[string][]mesh.Object // PeerAuthentications that switch mTLS off, by namespace
	leaving  map[string]mesh.Object   // VirtualServices at an egress gateway, by host
	blocks   []settings               // of all DestinationRules
	http     []route                  // of all VirtualServices
	pods     []podTemplate            // of all workloads
	parts    []component              // that the files install
	found    map[string][]hit         // of a rule, by its code

	counting sync.Mutex // guards counted
	counted  map[string]endpoints
}

// hostKey brings the ways together in which a host may be written: two hosts that
// are one have the same key, though not the other way round.
func hostKey(host string) string {
	if name, _, ok := hostName(host, ""); ok {
		return name
	}
	return host
}

// look lets all rules look. They read what the files hold and change nothing, so
// several look at once: of a large file, each passes over all objects.
func (in *inspection) look() {
	in.parts = in.installed()
	rules := Rules()
	found := make([][]hit, len(rules))
	atOnce(len(rules), func(i int) { found[i] = rules[i].check(in) })
	for i, rule := range rules {
		in.found[rule.Code] = found[i]
	}
}

// atOnce calls do with all numbers below n, some at once.
func atOnce(n int, do func(int)) {
	next := atomic.Int64{}
	var group sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}

func inspect(files []File) *inspection {
	in := &inspection{
		files: files, byKind: map[string][]mesh.Object{}, unreadable: []Unreadable{}, lines: map[string][]string{},
		services: map[string][]mesh.Object{}, rules: map[string][]mesh.Object{}, routed: map[string][]route{},
		labelled: map[string][]mesh.Object{}, scalers: map[string][]mesh.Object{}, entries: map[string][]mesh.Object{},
		allowing: map[string][]mesh.Object{}, clear: map[string][]mesh.Object{}, leaving: map[string]mesh.Object{},
		found: map[string][]hit{}, counted: map[string]endpoints{},
	}
	reader := mesh.NewReader()
	for _, file := range files {
		objects, err := reader.Read(file.Name, file.Data)
		if err != nil {
			in.unreadable = append(in.unreadable, unreadable(file.Name, err)...)
		}
		if len(in.all) == 0 {
			in.all = objects
		} else {
			in.all = append(in.all, objects...)
		}
		in.lines[file.Name] = strings.Split(string(file.Data), "\n")
	}
	for _, object := range in.all {
		if object.Note == "" {
			in.byKind[object.Kind] = append(in.byKind[object.Kind], object)
		}
	}
	in.index()
	return in
}

// index brings together by name what rules look up, so that an audit takes time in
// proportion to the files.
func (in *inspection) index() {
	in.blocks = policiesOf(in.of(mesh.KindDestinationRule))
	in.http = routesOf(in.of("VirtualService"))
	in.pods = in.templatesOf()
	for _, o := range in.of("Deployment", "StatefulSet") {
		labels := spec(o, "template", "metadata", "labels")
		for _, key := range labels.Keys() {
			pair := key + "=" + labels.Get(key).Text()
			in.labelled[pair] = append(in.labelled[pair], o)
		}
		in.labelled[byName+o.Name] = append(in.labelled[byName+o.Name], o)
	}
	for _, o := range in.of("HorizontalPodAutoscaler") {
		name := spec(o, "scaleTargetRef", "name").Text()
		in.scalers[name] = append(in.scalers[name], o)
	}
	for _, o := range in.of("ServiceEntry") {
		for _, host := range spec(o, "hosts").Items() {
			in.entries[host.Text()] = append(in.entries[host.Text()], o)
		}
	}
	for _, o := range in.of("AuthorizationPolicy") {
		if action := spec(o, "action").Text(); action != "" && action != "ALLOW" && action != "CUSTOM" {
			continue // DENY leaves the rest open
		}
		labels, pair := spec(o, "selector", "matchLabels"), ""
		if keys := labels.Keys(); len(keys) > 0 {
			pair = keys[0] + "=" + labels.Get(keys[0]).Text()
		}
		in.allowing[pair] = append(in.allowing[pair], o)
	}
	for _, o := range in.of("PeerAuthentication") {
		if spec(o, "mtls", "mode").Text() == "DISABLE" {
			in.clear[o.Namespace] = append(in.clear[o.Namespace], o)
		}
	}
	for _, o := range in.of("VirtualService") {
		if slices.ContainsFunc(spec(o, "gateways").Items(), func(g mesh.Field) bool { return strings.Contains(g.Text(), "egress") }) {
			for _, host := range spec(o, "hosts").Items() {
				in.leaving[host.Text()] = o
			}
		}
	}
	for _, o := range in.of("Service") {
		in.services[o.Name] = append(in.services[o.Name], o)
	}
	for _, o := range in.of(mesh.KindDestinationRule) {
		key := hostKey(spec(o, "host").Text())
		in.rules[key] = append(in.rules[key], o)
	}
	for _, r := range in.http {
		seen := map[string]bool{}
		for _, item := range r.field.Get("route").Items() {
			if key := hostKey(item.Get("destination", "host").Text()); !seen[key] {
				seen[key] = true
				in.routed[key] = append(in.routed[key], r)
			}
		}
	}
}

// byName begins the keys of labelled that are no labels but names of workloads.
const byName = "name: "

// workloads returns those whose pods may have all of the labels, or with none the
// name; the caller still has to look at the other labels.
func (in *inspection) workloads(labels map[string]string, name string) []mesh.Object {
	if len(labels) == 0 {
		return in.labelled[byName+name]
	}
	var fewest []mesh.Object
	start := true
	for key, value := range labels {
		if those := in.labelled[key+"="+value]; start || len(those) < len(fewest) {
			fewest, start = those, false
		}
	}
	return fewest
}

// fewUnreadable is how many places of one file are named that could not be read.
const fewUnreadable = 3

func unreadable(file string, err error) []Unreadable {
	var problems scenarios.Errors
	if !errors.As(err, &problems) {
		return []Unreadable{{File: file, Message: err.Error()}}
	}
	var all []Unreadable
	for i, problem := range problems {
		if i == fewUnreadable && len(problems) > fewUnreadable+1 {
			all = append(all, Unreadable{File: file, Line: problem.Line, Message: fmt.Sprintf("and %d more places", len(problems)-i)})
			break
		}
		message := problem.Message
		if problem.Path != "" {
			message = problem.Path + ": " + message
		}
		all = append(all, Unreadable{file, problem.Line, message, problem.Hint})
	}
	return all
}

// of returns the objects of the kinds, in the order of the files.
func (in *inspection) of(kinds ...string) []mesh.Object {
	if len(kinds) == 1 {
		return in.byKind[kinds[0]]
	}
	var all []mesh.Object
	for _, kind := range kinds {
		all = append(all, in.byKind[kind]...)
	}
	return all
}

// spec is short for the field spec of an object and what is below it.
func spec(o mesh.Object, keys ...string) mesh.Field {
	return o.Spec(keys...)
}

// sameNamespace reports whether two objects may lie in the same namespace: what
// a tool fills in later has none in its file.
func sameNamespace(a, b string) bool { return a == b || a == "" || b == "" }

// hostName splits a host as it stands in Istio's objects into the name of a
// service and its namespace; ok is false for a host outside of the cluster.
func hostName(host, namespace string) (service, in string, ok bool) {
	name, rest, dotted := strings.Cut(host, ".")
	if !dotted {
		return host, namespace, host != "" && host != "*"
	}
	in, tail, _ := strings.Cut(rest, ".")
	return name, in, name != "*" && (tail == "svc" || strings.HasPrefix(tail, "svc."))
}
