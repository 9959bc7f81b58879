package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// validitySection lists why a measurement is not valid and what to keep in mind
// though it is. Reasons of single phases are in the table of phases.
func validitySection(result analysis.Result, rec *record.Record) Section {
	s := Section{Title: "Validity and warnings"}
	switch {
	case !result.Valid:
		s.Blocks = append(s.Blocks, Note{Bad, "The measurement is not valid."})
	case len(result.InvalidReasons) > 0:
		s.Blocks = append(s.Blocks, Note{Good, "The measurement is valid, though not every phase is."})
	default:
		s.Blocks = append(s.Blocks, Note{Good, "The measurement is valid."})
	}
	for _, reason := range result.InvalidReasons {
		level := Bad
		if result.Valid {
			level = Warning
		}
		s.Blocks = append(s.Blocks, Note{level, reasonText(reason)})
	}
	for _, warning := range result.Warnings {
		// The result repeats those of the record, which have a place of their own below.
		if rec == nil || !slices.Contains(rec.Warnings, warning) && !slices.Contains(rec.Notes, warning) {
			s.Blocks = append(s.Blocks, Note{Warning, warning})
		}
	}
	s.Blocks = append(s.Blocks, verdictNotes(result)...)
	if rec != nil {
		for _, warning := range rec.Warnings {
			s.Blocks = append(s.Blocks, Note{Warning, "Reading the record: " + warning})
		}
		for _, note := range rec.Notes {
			s.Blocks = append(s.Blocks, Note{Info, note})
		}
	}
	return s
}

// verdictNotes say what to keep in mind of the load, or of the phases that the
// proof rests on; of the other phases, how many have something to say.
func verdictNotes(result analysis.Result) []Block {
	said := map[string]bool{}
	for _, r := range result.InvalidReasons {
		said[reasonText(r)] = true
	}
	var blocks []Block
	note := func(before string, verdict analysis.Verdict) {
		if !verdict.Valid {
			return // said above, or in the table of phases
		}
		for _, r := range slices.Concat(verdict.NotForFit, verdict.Warnings) {
			if text := before + reasonText(r); !said[text] {
				said[text] = true
				blocks = append(blocks, Note{Warning, text})
			}
		}
	}
	if result.LoadSummary != nil {
		note("", result.LoadSummary.Verdict)
		return blocks
	}
	decisive := map[int]bool{}
	if v := result.Verification; v != nil {
		for _, point := range []*analysis.ProofPoint{v.ObjectiveHeldBelow, v.ObjectiveMissedAbove} {
			if point != nil {
				decisive[point.Phase] = true
			}
		}
	}
	others := 0
	for _, p := range result.Phases {
		switch {
		case decisive[p.Index]:
			note(fmt.Sprintf("Phase %d, %s: ", p.Index, phaseName(p)), analysis.Verdict{Valid: p.Verdict.Valid, Warnings: p.Verdict.Warnings})
		case p.Verdict.Valid && len(p.Verdict.Warnings) > 0:
			others++
		}
	}
	switch {
	case others == 1:
		blocks = append(blocks, Note{Info, "One of the valid phases has a warning: see the table of phases."})
	case others > 1:
		blocks = append(blocks, Note{Info, quantity.Count(int64(others)) + " of the valid phases have warnings: see the table of phases."})
	}
	return blocks
}

// costSection shows the fitted models.
func costSection(result analysis.Result) Section {
	cpu := Table{
		Caption: "CPU = idle + per request × rate + per wake-up × wake-ups, of one replica",
		Columns: []Column{
			{Title: "Component"}, {Title: "Per request", Right: true}, {Title: "Per wake-up", Right: true}, {Title: "Idle", Right: true},
			{Title: "Model", Prose: true},
		},
	}
	memory := Table{
		Caption: "Memory of one replica",
		Columns: []Column{
			{Title: "Component"}, {Title: "Base", Right: true}, {Title: "Per request in flight", Right: true}, {Title: "Per connection", Right: true},
			{Title: "Kept after a step down", Right: true},
		},
	}
	var notes []Block
	for _, c := range result.Components {
		cpu.Rows = append(cpu.Rows, Row{Cells: []string{
			c.Name, quantity.ShortEstimate(c.CPUSecondsPerRequest, quantity.Seconds), quantity.ShortEstimate(c.CPUSecondsPerWakeUp, quantity.Seconds),
			quantity.ShortEstimate(c.CPUIdleCores, quantity.CoreCount), c.CPUModel,
		}})
		memory.Rows = append(memory.Rows, Row{Cells: []string{
			c.Name, quantity.ShortEstimate(c.MemoryBaseBytes, quantity.ByteCount), quantity.ShortEstimate(c.MemoryBytesPerInFlight, quantity.ByteCount),
			quantity.ShortEstimate(c.MemoryBytesPerConnection, quantity.ByteCount), keptShare(c),
		}})
		for _, of := range []struct {
			name     string
			estimate stat.Estimate
		}{
			{"CPU per request", c.CPUSecondsPerRequest},
			{"CPU per wake-up", c.CPUSecondsPerWakeUp},
			{"idle CPU", c.CPUIdleCores},
			{"base memory", c.MemoryBaseBytes},
			{"memory per request in flight", c.MemoryBytesPerInFlight},
			{"memory per connection", c.MemoryBytesPerConnection},
			{"memory kept after a step down", c.MemoryKeptShare},
		} {
			notes = append(notes, whyNot(c.Name, of.name, of.estimate)...)
		}
	}
	if len(cpu.Rows) == 0 {
		return Section{}
	}
	blocks := []Block{cpu}
	if !asked(result) {
		blocks = append(blocks, mixBlocks(result)...)
	}
	return Section{Title: "What a request costs", Detail: true, Blocks: append(append(blocks, memory), notes...)}
}

// asked reports whether there were phases for what requests of a mix or quotas cost, or
// queries of what was observed.
func asked(result analysis.Result) bool {
	if result.Evidence == record.EvidenceObserved && slices.ContainsFunc(result.Components, func(c analysis.Component) bool { return c.RequestCosts != nil }) {
		return true
	}
	return result.QuotaTrial != nil || slices.ContainsFunc(result.Phases, func(p analysis.PhaseSummary) bool { return p.Kind == string(scenarios.KindMix) })
}

// besideSection has what the scenario asked for beside a sizing: an answer that belongs
// in every form.
func besideSection(result analysis.Result) Section {
	if !asked(result) {
		return Section{}
	}
	return Section{Title: "What requests and quotas cost", Blocks: append(mixBlocks(result), quotaBlocks(result.QuotaTrial)...)}
}

// keptShare is what memory kept after a step down; Absent in results of before there
// was such an estimate, too.
func keptShare(c analysis.Component) string {
	if c.MemoryKeptShare.N == 0 {
		return quantity.Absent
	}
	return quantity.ShortEstimate(c.MemoryKeptShare, quantity.Share)
}

// quotaBlocks show what the CPU quotas cost.
func quotaBlocks(price *analysis.QuotaTrial) []Block {
	if price == nil {
		return nil
	}
	if !price.WithP99.OK() || !price.WithoutP99.OK() {
		return []Block{Note{Warning, "CPU quotas: " + price.Reason}}
	}
	t := Table{
		Caption: "What the CPU quotas cost: CPU time of a request on each component, and p99 of the whole chain, at " + quantity.Rate(price.Rps) + " with them and without, in turns",
		Columns: []Column{{Title: "Component"}, {Title: "Throttled with", Right: true}, {Title: "With", Right: true}, {Title: "Without", Right: true}, {Title: "With ÷ without", Right: true, Strong: true}},
	}
	ratio := func(e stat.Estimate) string { return quantity.ShortEstimate(e, quantity.Plain) }
	for i, c := range price.With {
		times := quantity.Absent
		if i < len(price.CPURatios) {
			times = ratio(price.CPURatios[i].Ratio)
		}
		t.Rows = append(t.Rows, Row{Cells: []string{
			c.Component, quantity.Percent(c.Throttled), quantity.Value(c.CPUSeconds, quantity.Seconds), quantity.Value(price.Without[i].CPUSeconds, quantity.Seconds), times,
		}})
	}
	t.Rows = append(t.Rows, Row{Cells: []string{"p99 of the chain", "", quantity.Value(price.WithP99, quantity.Seconds), quantity.Value(price.WithoutP99, quantity.Seconds), ratio(price.P99Ratio)}})
	level := Info
	if !price.Told {
		level = Warning
	}
	return []Block{t, Note{level, price.Reason}}
}

// aboveMean says whether a request costs something else than the mean of its mix; empty
// where that is not estimable.
func aboveMean(e stat.Estimate) string {
	switch {
	case !e.OK():
		return ""
	case e.Low > 0:
		return "more than the mean"
	case e.High < 0:
		return "less than the mean"
	}
	return "no difference from the mean shows"
}

// mixBlocks show what each request of a mix costs, as far as it was told apart.
func mixBlocks(result analysis.Result) []Block {
	requests := Table{
		Caption: "CPU time of each request of the mix, on one replica of a component",
		Columns: []Column{{Title: "Component"}, {Title: "Request"}, {Title: "Share", Right: true}, {Title: "CPU time", Right: true}, {Title: "Above the mean", Right: true}, {Title: "Remarks", Prose: true}},
	}
	bytes := Table{
		Caption: "The same as the cost of a request without bytes, and of the bytes on the wire to and from clients",
		Columns: []Column{{Title: "Component"}, {Title: "Per request", Right: true}, {Title: "Per KiB of requests", Right: true}, {Title: "Per KiB of answers", Right: true}},
	}
	var notes []Block
	perKiB := func(e stat.Estimate) string { return quantity.ShortEstimate(e.Scale(1024), quantity.Seconds) }
	for _, c := range result.Components {
		costs := c.RequestCosts
		if costs == nil {
			continue
		}
		for i, request := range costs.ByRequest {
			remark := aboveMean(request.AboveMeanCPUSeconds)
			if i == 0 {
				remark = strings.TrimPrefix(remark+"; "+costs.Reason, "; ")
			}
			requests.Rows = append(requests.Rows, Row{Cells: []string{
				c.Name, request.Name, quantity.Percent(request.Share), quantity.ShortEstimate(request.CPUSeconds, quantity.Seconds),
				quantity.ShortEstimate(request.AboveMeanCPUSeconds, quantity.Seconds), remark,
			}})
		}
		if len(costs.ByRequest) == 0 {
			notes = append(notes, Note{Info, c.Name + ": " + costs.Reason})
		}
		if costs.CPUSecondsPerRequestByte.OK() || costs.CPUSecondsPerAnswerByte.OK() {
			bytes.Rows = append(bytes.Rows, Row{Cells: []string{
				c.Name, quantity.ShortEstimate(costs.CPUSecondsPerRequestWithoutBytes, quantity.Seconds), perKiB(costs.CPUSecondsPerRequestByte), perKiB(costs.CPUSecondsPerAnswerByte),
			}})
		}
	}
	var blocks []Block
	for _, t := range []Table{requests, bytes} {
		if len(t.Rows) > 0 {
			blocks = append(blocks, t)
		}
	}
	return append(blocks, notes...)
}

// phaseSection lists every phase with its verdict.
func phaseSection(result analysis.Result) Section {
	if len(result.Phases) == 0 {
		return Section{}
	}
	components, throttled := phaseComponents(result), throttledComponents(result)
	t := Table{
		Caption: "CPU in cores, all replicas of a component together. Fit: models are fitted to this phase",
		Columns: []Column{
			{Title: "#", Right: true}, {Title: "Phase"}, {Title: "Offered", Right: true}, {Title: "Reached", Right: true},
			{Title: "p50", Right: true}, {Title: "p99", Right: true}, {Title: "Errors", Right: true}, {Title: "Lag p99", Right: true},
		},
	}
	for _, name := range components {
		t.Columns = append(t.Columns, Column{Title: "CPU " + name, Right: true})
	}
	for _, name := range throttled {
		t.Columns = append(t.Columns, Column{Title: "Throttled " + name, Right: true})
	}
	t.Columns = append(t.Columns, Column{Title: "Result"}, Column{Title: "Remarks", Prose: true})
	for _, p := range result.Phases {
		row := Row{Cells: []string{
			strconv.Itoa(p.Index), phaseName(p), quantity.Rate(p.OfferedRps), quantity.Rate(p.AchievedRps),
			quantity.Value(p.P50, quantity.Seconds), quantity.Value(p.P99, quantity.Seconds), quantity.Percent(p.ErrorRatio), quantity.Value(p.LagP99, quantity.Seconds),
		}}
		for _, name := range components {
			row.Cells = append(row.Cells, phaseCPU(p, name))
		}
		for _, name := range throttled {
			row.Cells = append(row.Cells, phaseThrottled(p, name))
		}
		switch {
		case !p.Verdict.Valid:
			row.Level = Bad
		case len(p.Verdict.Warnings) > 0:
			row.Level = Warning
		}
		row.Cells = append(row.Cells, phaseResult(p, len(result.Objectives) > 0), remarks(p.Verdict))
		t.Rows = append(t.Rows, row)
	}
	return Section{Title: "Phases", Detail: true, Blocks: []Block{t}}
}

// phaseComponents returns the names of components that phases have CPU of: those
// of the result in its order, then the rest by name.
func phaseComponents(result analysis.Result) []string {
	seen := map[string]bool{}
	for _, p := range result.Phases {
		for name := range p.CPUCores {
			seen[name] = true
		}
	}
	var names []string
	for _, c := range result.Components {
		if seen[c.Name] {
			names = append(names, c.Name)
			delete(seen, c.Name)
		}
	}
	return append(names, slices.Sorted(maps.Keys(seen))...)
}

func phaseName(p analysis.PhaseSummary) string {
	if p.Name == "" || p.Name == p.Kind || strings.HasPrefix(p.Name, p.Kind) {
		return cmp.Or(p.Name, p.Kind)
	}
	return p.Kind + " " + p.Name
}

// phaseResult says whether the objectives held, if that can be said.
func phaseResult(p analysis.PhaseSummary, objectives bool) string {
	text := "held"
	switch {
	case !p.Verdict.Valid:
		return "not valid"
	case !objectives:
		text = "measured"
	case !p.Holds:
		text = "missed"
	}
	if p.Verdict.UsableForFit {
		text += ", fit"
	}
	return text
}

// throttledComponents returns the names of components that a quota stopped.
func throttledComponents(result analysis.Result) []string {
	seen := map[string]bool{}
	for _, p := range result.Phases {
		for name, ratio := range p.Throttled {
			if ratio > 0 {
				seen[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func phaseCPU(p analysis.PhaseSummary, component string) string {
	e, ok := p.CPUCores[component]
	if !ok || !e.OK() {
		return quantity.Absent
	}
	return quantity.BareCores(e.Value)
}

func phaseThrottled(p analysis.PhaseSummary, component string) string {
	ratio, ok := p.Throttled[component]
	if !ok {
		return quantity.Absent
	}
	return quantity.Percent(ratio)
}

// remarks are the reasons and the warnings of a verdict. That a phase which is
// not valid is of no use for a fit either need not be said.
func remarks(v analysis.Verdict) string {
	var parts []string
	for _, r := range v.Reasons {
		parts = append(parts, reasonText(r))
	}
	if v.Valid {
		for _, r := range v.NotForFit {
			parts = append(parts, "not for a fit: "+reasonText(r))
		}
	}
	for _, r := range v.Warnings {
		parts = append(parts, reasonText(r))
	}
	return strings.Join(parts, "; ")
}

func verdictText(v analysis.Verdict) string {
	text := remarks(v)
	switch {
	case v.Valid && text == "":
		return "valid"
	case v.Valid:
		return "valid, but: " + text
	case text == "":
		return "not valid"
	}
	return "not valid: " + text
}

// reproduceSection says under which conditions this was measured and how to do
// it again.
func reproduceSection(result analysis.Result, rec *record.Record) Section {
	s := Section{Title: "How to reproduce", Detail: true}
	s.Blocks = append(s.Blocks, Code{commands(result, rec)})
	items := []KeyValue{{"Scenario", orUnnamed(result.Scenario)}, {"Seed", strconv.FormatUint(result.Seed, 10)}}
	add := func(key, value string) {
		if value != "" {
			items = append(items, KeyValue{key, value})
		}
	}
	add("Started", result.StartedAt)
	add("Program", strings.Join(nonEmpty(result.Tool.Name, result.Tool.Version, result.Tool.Revision, result.Tool.GoVersion), " "))
	add("Generator ran on", host(result.Host))
	if rec != nil {
		if !rec.StartedAt.IsZero() && rec.EndedAt.After(rec.StartedAt) {
			add("Took", quantity.Duration(rec.EndedAt.Sub(rec.StartedAt).Round(time.Second).Seconds()))
		}
		add("Record", rec.Dir)
	}
	s.Blocks = append(s.Blocks, KeyValues{items})
	if t, ok := policyTable(result.Lab); ok {
		s.Blocks = append(s.Blocks, t)
	}
	if t, ok := componentTable(result.Components); ok {
		s.Blocks = append(s.Blocks, t)
	}
	return s
}

// commands are what to type: measure again, and compute again from the record.
func commands(result analysis.Result, rec *record.Record) string {
	measure := []string{"sailplan", result.Command}
	if result.Command == "" {
		measure[1] = "size"
	}
	measure = append(measure, "SCENARIO")
	if result.Quick {
		measure = append(measure, "--quick")
	}
	dir := "DIR"
	if rec != nil && rec.Dir != "" {
		dir = shellQuote(rec.Dir)
	}
	return fmt.Sprintf("# measure again; SCENARIO is the file of %s with seed: %d\n%s\n"+
		"# compute again from the record, without measuring\nsailplan analyze %s\nsailplan report %s",
		OneLine(orUnnamed(result.Scenario)), result.Seed, strings.Join(measure, " "), dir, dir)
}

// shellQuote quotes a path for a POSIX shell where it needs it.
func shellQuote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+", r)
	}
	if strings.TrimFunc(path, plain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

func host(h record.Host) string {
	var parts []string
	if h.CPUs > 0 {
		parts = append(parts, fmt.Sprintf("%d × %s", h.CPUs, cmp.Or(h.CPUModel, "CPU")))
	}
	if h.MemoryBytes > 0 {
		parts = append(parts, quantity.Bytes(float64(h.MemoryBytes)))
	}
	parts = append(parts, nonEmpty(strings.Trim(h.OS+"/"+h.Arch, "/"), h.Kernel)...)
	return strings.Join(parts, ", ")
}

func policyTable(lab *analysis.Lab) (Table, bool) {
	if lab == nil || len(lab.Policy) == 0 {
		return Table{}, false
	}
	t := Table{Caption: "Traffic policy in effect", Columns: []Column{{Title: "Field"}, {Title: "Value"}, {Title: "From"}}}
	for _, p := range lab.Policy {
		t.Rows = append(t.Rows, Row{Cells: []string{p.Field, p.Value, p.Source}})
	}
	return t, true
}

// componentTable says what was measured: so many replicas, of this size.
func componentTable(components []analysis.Component) (Table, bool) {
	t := Table{
		Caption: "Components as measured",
		Columns: []Column{
			{Title: "Component"}, {Title: "Role"}, {Title: "Replicas", Right: true}, {Title: "Worker threads", Right: true},
			{Title: "CPU limit", Right: true}, {Title: "Memory limit", Right: true},
		},
	}
	for _, c := range components {
		threads, cpu, memory := quantity.Absent, "none", "none"
		if c.Concurrency > 0 {
			threads = strconv.Itoa(c.Concurrency)
		}
		if c.CPULimitCores > 0 {
			cpu = quantity.Cores(c.CPULimitCores)
		}
		if c.MemoryLimitBytes > 0 {
			memory = quantity.Bytes(float64(c.MemoryLimitBytes))
		}
		t.Rows = append(t.Rows, Row{Cells: []string{c.Name, c.Role, strconv.Itoa(c.ReplicasMeasured), threads, cpu, memory}})
	}
	return t, len(t.Rows) > 0
}
