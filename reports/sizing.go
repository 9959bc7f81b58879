package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Sizing is the document of `size`. Without a record (nil) it has no timeline
// and does not say where the record is.
func Sizing(result analysis.Result, rec *record.Record) Document {
	d := Document{
		Title:    "Sizing of " + orUnnamed(result.Scenario),
		Evidence: evidence(result, rec),
	}
	d.add(answer(result))
	d.add(poolSection(result))
	d.add(stagedSection(result))
	d.add(growthSection(result))
	d.add(costsSection(result))
	d.add(besideSection(result))
	d.add(capacitySection(result))
	d.add(proofSection(result))
	d.add(validitySection(result, rec))
	d.add(chartSection(result, rec))
	d.add(candidateSection(result))
	d.add(scalingSection(result))
	d.add(whySection(result))
	d.add(arithmeticSection(result))
	d.add(costSection(result))
	d.add(phaseSection(result))
	d.add(reproduceSection(result, rec))
	return d
}

// add appends a section unless it is empty.
func (d *Document) add(s Section) {
	if len(s.Blocks) > 0 {
		d.Sections = append(d.Sections, s)
	}
}

func orUnnamed(name string) string {
	if strings.TrimSpace(name) == "" {
		return "an unnamed scenario"
	}
	return name
}

// evidence is the line that every report begins with.
func evidence(result analysis.Result, rec *record.Record) Note {
	level, limits := Info, ""
	if result.Lab != nil {
		limits = " CPU and memory limits enforced."
		if !result.Lab.LimitsEnforced {
			level, limits = Warning, " Limits NOT enforced"
			if result.Lab.LimitsWhyNot != "" {
				limits += ": " + result.Lab.LimitsWhyNot
			}
			limits = endSentence(limits)
		}
	}
	switch result.Evidence {
	case record.EvidenceLab:
		version := ""
		if result.Lab != nil && result.Lab.EnvoyVersion != "" {
			version = " " + result.Lab.EnvoyVersion
		}
		return Note{level, "Evidence: lab, real Envoy" + version + " on this machine." + limits}
	case record.EvidenceEmbedded:
		return Note{Warning, "Evidence: embedded stand-in, not Envoy: it shows how sizing works, not what Envoy costs." + limits}
	case record.EvidenceTarget:
		where := "a running system"
		if rec != nil && rec.Scenario.Target != nil && rec.Scenario.Target.URL != "" {
			where = rec.Scenario.Target.URL
		}
		return Note{level, "Evidence: target, " + where + "."}
	case record.EvidenceCalibrated:
		return Note{level, "Evidence: lab, calibrated: real Envoy on this machine, its CPU rescaled by a phase on your target." + limits}
	case record.EvidenceObserved:
		return Note{Warning, "Evidence: observed in production through Prometheus; no load was sent, and nothing was proved."}
	}
	return Note{Warning, "Evidence: of an unknown kind." + limits}
}

func endSentence(text string) string {
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".!?") {
		return text
	}
	return text + "."
}

// answer is the first screen.
func answer(result analysis.Result) Section {
	s := Section{Title: "Answer"}
	s.Blocks = append(s.Blocks, verdict(result))
	s.Blocks = append(s.Blocks, endNotes(result)...)
	s.Blocks = append(s.Blocks, whyInvalid(result)...)
	s.Blocks = append(s.Blocks, planned(result)...)
	if table, ok := recommendation(result); ok {
		s.Blocks = append(s.Blocks, table)
	}
	for _, c := range result.Components {
		if c.Replicas == nil {
			continue // its notes are in the table, as the reason why it is not sized
		}
		for _, note := range c.Notes {
			s.Blocks = append(s.Blocks, Note{Info, c.Name + ": " + note})
		}
		for _, warning := range c.CapacityPerReplicaRps.Warnings {
			s.Blocks = append(s.Blocks, Note{Warning, c.Name + " capacity: " + warning})
		}
	}
	return s
}

func verdict(result analysis.Result) Verdict {
	v := Verdict{Level: Warning, Status: Unknown, Text: "No answer: the result has no outcome", Detail: result.OutcomeReason}
	set := func(level Level, status Status, text string) { v.Level, v.Status, v.Text = level, status, text }
	switch result.Outcome {
	case analysis.Recommended:
		set(Good, Passed, "Recommended, and the proof agrees")
		if result.Verification == nil {
			set(Warning, Unknown, "Recommended, without a proof")
		}
	case analysis.Infeasible:
		set(Bad, Failed, "Infeasible: no number of replicas meets the objective")
	case analysis.Contradicted:
		set(Bad, Failed, "Contradicted: the proof did not find what was predicted")
	case analysis.Invalid:
		set(Bad, Unknown, "No answer: the measurement is not valid")
		if o := result.Observed; o != nil && o.PeakTimes > o.MostBeyond {
			set(Bad, Unknown, "No answer: what was observed does not reach that far")
		}
	case analysis.Incomplete:
		set(Warning, Unknown, "No answer: the run ended before there was enough to answer")
	case analysis.Held:
		set(Good, Passed, "Every objective held")
	case analysis.Missed:
		set(Bad, Failed, "An objective was missed")
	case analysis.Measured:
		set(Info, Passed, "Measured; there was no objective to hold")
		v.Detail = "" // the reason is the same
	case analysis.Found:
		set(Good, Passed, "Found: the highest rate that holds the objectives is "+quantity.Estimate(result.SLOEdge.Rps, quantity.PerSecond))
	}
	return v
}

// endNotes say it when a run did not end as it should.
func endNotes(result analysis.Result) []Block {
	var text string
	switch result.Ended {
	case record.EndedDone:
		return nil
	case record.EndedInterrupted:
		text = "The run was interrupted"
	case record.EndedGuard:
		text = "A guard stopped the load"
	case record.EndedFailed:
		text = "The run failed"
	default:
		text = "The run was killed: the record ends where it stopped"
	}
	if result.EndedWhy != "" {
		text += ": " + result.EndedWhy
	}
	return []Block{Note{Warning, endSentence(text)}}
}

// whyInvalid says beside the answer why there is none. Reasons of single phases
// that did not spoil the whole are among the warnings.
func whyInvalid(result analysis.Result) []Block {
	if result.Valid {
		return nil
	}
	var notes []Block
	for _, reason := range result.InvalidReasons {
		notes = append(notes, Note{Bad, reasonText(reason)})
	}
	return notes
}

func reasonText(r analysis.Reason) string {
	if r.Code == "" {
		return r.Message
	}
	return r.Message + " [" + r.Code + "]"
}

// planned says what the recommendation is for.
func planned(result analysis.Result) []Block {
	var items []KeyValue
	if result.Demand.PlannedRps > 0 {
		text := quantity.Rate(result.Demand.PlannedRps)
		if result.Demand.Reason != "" {
			text += " – " + result.Demand.Reason
		}
		items = append(items, KeyValue{"Planned rate", text})
	}
	if len(result.Objectives) > 0 {
		var texts []string
		for _, o := range result.Objectives {
			texts = append(texts, o.Text)
		}
		items = append(items, KeyValue{"Objectives", strings.Join(texts, ", ")})
	}
	if len(items) == 0 {
		return nil
	}
	return []Block{KeyValues{items}}
}

// recommendation is the table of what to set, each line with its reason. It is
// there only when something is recommended.
func recommendation(result analysis.Result) (Table, bool) {
	t := Table{
		Caption: "Recommendation",
		Columns: []Column{{Title: "Component"}, {Title: "Setting"}, {Title: "Value", Strong: true}, {Title: "Why", Prose: true}},
	}
	switch result.Outcome {
	case analysis.Recommended:
	case analysis.Contradicted:
		t.Caption = "What would be recommended, had the proof not contradicted it: do not apply"
	default:
		t.Caption = "What was known when it ended, without a proof: do not apply"
	}
	some := false
	for _, c := range result.Components {
		some = some || c.Replicas != nil || c.Resources != nil || c.HPA != nil
		t.Rows = append(t.Rows, componentRows(c)...)
	}
	return t, some
}

func componentRows(c analysis.Component) []Row {
	var rows []Row
	add := func(setting, value, why string) {
		rows = append(rows, Row{Cells: []string{c.Name, setting, value, why}, Continues: len(rows) > 0})
	}
	if r := c.Replicas; r != nil {
		add("replicas", strconv.Itoa(r.Value), r.Reason)
		add("… needed", strings.Join([]string{replicas(r.CarriesPlannedRate), replicas(r.SurvivesReplicaLoss), replicas(r.SurvivesZoneLoss)}, " / "),
			"with nothing lost / with one replica lost / with one zone lost")
		if r.SurvivesRollingUpdate > 0 {
			needed, why := []string{replicas(r.SurvivesRollingUpdate), replicas(r.MostDuringUpdate)}, "during a rolling update / and as many there may be then"
			if r.SurvivesClusterLoss > 0 {
				needed, why = append(needed, replicas(r.SurvivesClusterLoss)), why+" / with one cluster lost"
			}
			add("… needed", strings.Join(needed, " / "), why)
		}
	} else {
		why := "not sized"
		if len(c.Notes) > 0 {
			why = strings.Join(c.Notes, "; ")
		}
		add("replicas", quantity.Absent, why)
	}
	if capacity := c.CapacityPerReplicaRps; capacity.OK() || c.Replicas != nil {
		add("capacity", quantity.Estimate(capacity.Estimate, quantity.PerSecond), capacityReason(capacity))
	}
	if r := c.Resources; r != nil {
		add("requests", quantities(r.Requests), r.Reason)
		add("limits", quantities(r.Limits), "")
		if r.Concurrency > 0 {
			add("threads", strconv.Itoa(r.Concurrency), r.ConcurrencyReason)
		}
		if r.ConnectionsRunOut > 0 || r.ConnectionsReason != "" && c.Role != string(scenarios.RoleService) {
			connections := quantity.Absent
			if r.ConnectionsRunOut > 0 {
				connections = "below " + quantity.Count(int64(r.ConnectionsRunOut))
			}
			add("connections", connections, r.ConnectionsReason)
		}
	}
	if life := c.Connections; life != nil {
		lifetime := "no end needed"
		if life.MaxSeconds > 0 {
			lifetime = quantity.Duration(life.MaxSeconds)
		}
		add("… lifetime", lifetime, "of clients' connections: "+strings.Join(append([]string{life.Reason}, life.Warnings...), "; "))
	}
	// Whoever reads both wonders which of them to set.
	instead := ""
	if c.Replicas != nil {
		instead = fmt.Sprintf("in place of a fixed %d; ", c.Replicas.Value)
	}
	if h := c.HPA; h != nil {
		add("HPA", fmt.Sprintf("%d – %d at %d%s%%", h.MinReplicas, h.MaxReplicas, h.TargetCPUUtilization, quantity.NoBreak), instead+h.Reason)
		instead = ""
	}
	if signal := c.Signal; signal != nil {
		add("KEDA", signalText(*signal), instead+signal.Reason)
	}
	return rows
}

// replicas writes how many are needed; 0 where it cannot be done, as surviving
// the loss of the only zone.
func replicas(n int) string {
	if n == 0 {
		return quantity.Absent
	}
	return strconv.Itoa(n)
}

// capacityReason says which candidate bound, in the words of that candidate.
func capacityReason(c analysis.Capacity) string {
	if c.BoundBy == "" {
		return "of one replica; what bounds it is not known"
	}
	i := slices.IndexFunc(c.Candidates, func(candidate analysis.Candidate) bool { return candidate.BoundBy == c.BoundBy })
	if i < 0 || c.Candidates[i].Reason == "" {
		return "of one replica, bound by " + c.BoundBy
	}
	return "of one replica, bound by " + c.BoundBy + ": " + c.Candidates[i].Reason
}

func quantities(q analysis.Quantities) string {
	var parts []string
	if q.CPU != "" {
		parts = append(parts, "cpu"+quantity.NoBreak+q.CPU)
	}
	if q.Memory != "" {
		parts = append(parts, "memory"+quantity.NoBreak+q.Memory)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func poolSection(result analysis.Result) Section {
	pool := result.ConnectionPool
	if pool == nil {
		return Section{}
	}
	effective := map[string]record.Policy{}
	if result.Lab != nil {
		for _, p := range result.Lab.Policy {
			effective[p.Field] = p
		}
	}
	t := Table{
		Caption: "connectionPool of the DestinationRule for " + orUnnamed(pool.Host),
		Columns: []Column{{Title: "Field"}, {Title: "Measured with", Right: true}, {Title: "Recommended", Right: true, Strong: true}, {Title: "Why", Prose: true}},
	}
	for _, field := range poolRows(*pool) {
		before := quantity.Absent
		if p, ok := effective["connectionPool."+field.name]; ok {
			before = policyValue(p.Value)
		}
		t.Rows = append(t.Rows, Row{Cells: []string{field.name, before, field.value, pool.Reasons[field.name]}})
	}
	return Section{Title: "Connection pool", Blocks: []Block{t}}
}

// poolRow is one field of a connectionPool as one sets it.
type poolRow struct{ name, value string }

func poolRows(pool analysis.ConnectionPool) []poolRow {
	rows := []poolRow{
		{"tcp.maxConnections", poolNumber(pool.TCP.MaxConnections)},
		{"tcp.connectTimeout", pool.TCP.ConnectTimeout},
		{"http.http1MaxPendingRequests", poolNumber(pool.HTTP.HTTP1MaxPendingRequests)},
		{"http.http2MaxRequests", poolNumber(pool.HTTP.HTTP2MaxRequests)},
		{"http.maxRequestsPerConnection", poolNumber(pool.HTTP.MaxRequestsPerConnection)},
		{"http.maxRetries", poolNumber(pool.HTTP.MaxRetries)},
	}
	if pool.HTTP.IdleTimeout != "" {
		rows = append(rows, poolRow{"http.idleTimeout", pool.HTTP.IdleTimeout})
	}
	return rows
}

// policyValue writes a limit that Envoy holds for "no limit" as such.
func policyValue(value string) string {
	if value == strconv.FormatUint(math.MaxUint32, 10) {
		return "no limit"
	}
	return value
}

// poolNumber writes a limit as one sets it; Istio takes 0 for "no limit".
func poolNumber(n int) string {
	if n == 0 {
		return "no limit"
	}
	return strconv.Itoa(n)
}

// edgeNotReached is SLOEdge.End when the highest measured rate still holds.
const edgeNotReached = "not-reached"

// capacitySection shows the three capacities beside each other.
func capacitySection(result analysis.Result) Section {
	if len(result.Components) == 0 {
		return Section{}
	}
	var blocks []Block
	edge := result.SLOEdge
	items := []KeyValue{{"SLO edge of the whole chain", quantity.Estimate(edge.Rps, quantity.PerSecond)}}
	if edge.End == edgeNotReached {
		items[0].Value = "not reached: the objectives still hold at the highest rate measured, " + quantity.Value(edge.Rps, quantity.PerSecond)
	}
	if edge.Objective != "" {
		items = append(items, KeyValue{"Breaks first", edge.Objective})
	}
	if edge.BoundBy != "" {
		items = append(items, KeyValue{"Bound by", edge.BoundBy})
	}
	if k := result.Knee; k != nil {
		items = append(items, KeyValue{"Surely holds up to", kneeText(*k)})
	}
	blocks = append(blocks, KeyValues{items})
	blocks = append(blocks, warningsOf("SLO edge", edge.Rps)...)
	blocks = append(blocks, ratesBlocks(result)...)
	t := Table{
		Caption: "Per replica: the rate at which the objective breaks, the rate at which the CPU reaches its limit, " +
			"and the rate to run at, are three different numbers",
		Columns: []Column{
			{Title: "Component"},
			{Title: "SLO edge", Right: true}, {Title: "CPU at its limit", Right: true}, {Title: "Operating capacity", Right: true, Strong: true},
			{Title: "Bound by"},
		},
	}
	for _, c := range result.Components {
		t.Rows = append(t.Rows, Row{Cells: []string{
			c.Name, quantity.ShortEstimate(c.SLOEdgeRps, quantity.PerSecond), quantity.ShortEstimate(c.CPULimitRps, quantity.PerSecond),
			quantity.ShortEstimate(c.CapacityPerReplicaRps.Estimate, quantity.PerSecond), orAbsent(c.CapacityPerReplicaRps.BoundBy),
		}})
	}
	blocks = append(blocks, t)
	return Section{Title: "Three capacities", Blocks: blocks}
}

// kneeText says up to which measured rate an objective holds with the upper bound.
func kneeText(k analysis.Knee) string {
	if !k.Rps.OK() {
		return "not known: " + quantity.Estimate(k.Rps, quantity.PerSecond)
	}
	words := quantity.Rate(k.Rps.Value) + ", the highest rate measured at which the upper bound of " + k.Objective + " holds, and at every lower one"
	if k.NextRps > 0 {
		words += "; another measurement would tell most at " + quantity.Rate(k.NextRps) + ": " + k.NextReason
	}
	return words
}

func orAbsent(text string) string {
	if text == "" {
		return quantity.Absent
	}
	return text
}

// candidateSection shows what could have bound.
func candidateSection(result analysis.Result) Section {
	t := Table{
		Caption: "What could bound the operating capacity of a replica, rising: the smallest safe end decides",
		Columns: []Column{{Title: "Component"}, {Title: "Bound"}, {Title: "Rate", Right: true}, {Title: "Safe end", Right: true}, {Title: "Why", Prose: true}},
	}
	for _, c := range result.Components {
		for i, candidate := range c.CapacityPerReplicaRps.Candidates {
			t.Rows = append(t.Rows, Row{
				Cells:     []string{c.Name, candidate.BoundBy, quantity.ShortEstimate(candidate.Rps, quantity.PerSecond), quantity.Rate(candidate.Safe), candidate.Reason},
				Continues: i > 0,
			})
		}
	}
	var blocks []Block
	if len(t.Rows) > 0 {
		blocks = append(blocks, t)
	}
	for _, c := range result.Components {
		blocks = append(blocks, whyNot(c.Name, "SLO edge", c.SLOEdgeRps)...)
		blocks = append(blocks, whyNot(c.Name, "CPU at its limit", c.CPULimitRps)...)
		blocks = append(blocks, whyNot(c.Name, "operating capacity", c.CapacityPerReplicaRps.Estimate)...)
		blocks = append(blocks, warningsOf(c.Name+": operating capacity", c.CapacityPerReplicaRps.Estimate)...)
	}
	return Section{Title: "Why this capacity", Detail: true, Blocks: blocks}
}
