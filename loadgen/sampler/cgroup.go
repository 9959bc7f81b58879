package sampler

import (
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// readCgroup adds what the process's cgroup accounts for. CPU time is taken from
// it only when there is no process to ask.
func (p *processSource) readCgroup(metrics map[record.Metric]float64) {
	group := p.target.Cgroup
	if group.CPU != "" {
		if text, err := p.files.readIn(group.CPU, "cpu.stat"); err == nil {
			readCPUStat(text, group.Version, metrics)
			p.readUsage(text, metrics)
		}
	}
	if group.Memory != "" {
		p.readMemory(metrics)
	}
}

// readCPUStat reads the quota's accounting. Version 2 has it only where the cpu
// controller is enabled.
func readCPUStat(text []byte, version int, metrics map[record.Metric]float64) {
	if periods, ok := field(text, "nr_periods"); ok {
		metrics[record.Periods] = float64(periods)
	}
	if throttled, ok := field(text, "nr_throttled"); ok {
		metrics[record.ThrottledPeriods] = float64(throttled)
	}
	name, perSecond := "throttled_time", 1e9
	if version == 2 {
		name, perSecond = "throttled_usec", 1e6
	}
	if throttled, ok := field(text, name); ok {
		metrics[record.ThrottledSeconds] = float64(throttled) / perSecond
	}
}

func (p *processSource) readUsage(cpuStat []byte, metrics map[record.Metric]float64) {
	if _, has := metrics[record.CPUSeconds]; has || p.target.PID > 0 {
		return
	}
	if p.target.Cgroup.Version == 2 {
		if micros, ok := field(cpuStat, "usage_usec"); ok {
			metrics[record.CPUSeconds] = float64(micros) / 1e6
		}
		return
	}
	if p.target.Cgroup.CPUAcct == "" {
		return
	}
	if nanos, ok := p.number(p.target.Cgroup.CPUAcct, "cpuacct.usage"); ok {
		metrics[record.CPUSeconds] = float64(nanos) / 1e9
	}
}

// readMemory computes the working set as Kubernetes does: what the group uses
// without the file pages that the kernel would give up first.
func (p *processSource) readMemory(metrics map[record.Metric]float64) {
	usageName, inactiveName := "memory.usage_in_bytes", "total_inactive_file"
	if p.target.Cgroup.Version == 2 {
		usageName, inactiveName = "memory.current", "inactive_file"
	}
	usage, ok := p.number(p.target.Cgroup.Memory, usageName)
	if !ok {
		return
	}
	text, err := p.files.readIn(p.target.Cgroup.Memory, "memory.stat")
	if err != nil {
		return
	}
	inactive, ok := field(text, inactiveName)
	if !ok {
		return
	}
	metrics[record.WorkingSetBytes] = float64(usage - min(usage, inactive))
}

// number reads a file that holds one number.
func (p *processSource) number(folder, name string) (uint64, bool) {
	text, err := p.files.readIn(folder, name)
	if err != nil {
		return 0, false
	}
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	n, err := parseUint(text)
	return n, err == nil
}
