package sampler

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

var (
	errGone     = errors.New("the process is gone")
	errReplaced = errors.New("the process is gone: another one has its number now")
)

// cpuSource is where a process's CPU time comes from. It is chosen once, because
// the sources differ in what they count from.
type cpuSource int

const (
	cpuUnknown cpuSource = iota
	cpuFromClock
	cpuFromThreads
	cpuFromTicks
)

// processSource reads a process and its cgroup.
type processSource struct {
	target Target
	files  *fileReader
	gone   bool // of Sampler.local

	start   uint64 // of the process, once known
	cpu     cpuSource
	threads map[int]*threadCounts
	ended   threadCounts // sums over threads that are no more
	has     threadsHave  // ever seen
	round   int
	names   []string // buffer
}

// threadCounts are counters of one thread.
type threadCounts struct {
	running, waiting uint64 // nanoseconds
	switches         uint64
	round            int // in which it was last seen
}

func newProcessSource(target Target, root string) *processSource {
	return &processSource{target: target, files: newFileReader(root), threads: map[int]*threadCounts{}}
}

// read returns one row. The error says that the process is no more.
func (p *processSource) read() (reading, error) {
	r := reading{metrics: make(map[record.Metric]float64, 12)}
	if p.target.PID > 0 {
		if err := p.readProcess(&r); err != nil {
			return reading{}, err
		}
	} else {
		r.at = time.Now()
	}
	p.readCgroup(r.metrics)
	return r, nil
}

func (p *processSource) readProcess(r *reading) error {
	text, err := p.files.read(procPath(p.target.PID, "stat"))
	if err != nil {
		return fmt.Errorf("process %d: %w", p.target.PID, errGone)
	}
	stat, err := parseProcessStat(text)
	if err != nil {
		return fmt.Errorf("process %d: %w", p.target.PID, err)
	}
	if stat.state == 'Z' || stat.state == 'X' {
		return fmt.Errorf("process %d: %w", p.target.PID, errGone)
	}
	if p.start == 0 {
		p.start = stat.start
	}
	if p.start != stat.start {
		return fmt.Errorf("process %d: %w", p.target.PID, errReplaced)
	}
	clock, clockErr := p.clock()
	r.at = time.Now()

	if text, err := p.files.read(procPath(p.target.PID, "statm")); err == nil {
		if pages, err := parseResidentPages(text); err == nil {
			r.metrics[record.RSSBytes] = float64(pages) * float64(os.Getpagesize())
		}
	}
	r.metrics[record.Threads] = float64(stat.threads)
	total, has := p.readThreads()
	if has.switches {
		r.metrics[record.VoluntarySwitches] = float64(total.switches)
	}
	// A kernel that does not keep these times writes zeros.
	scheduled := has.times && (total.running > 0 || stat.cpu == 0)
	if scheduled {
		r.metrics[record.RunDelaySeconds] = float64(total.waiting) / 1e9
	}
	if p.cpu == cpuUnknown {
		switch {
		case clockErr == nil:
			p.cpu = cpuFromClock
		case scheduled:
			p.cpu = cpuFromThreads
		default:
			p.cpu = cpuFromTicks
		}
	}
	switch {
	case p.cpu == cpuFromClock && clockErr == nil:
		r.metrics[record.CPUSeconds] = clock.Seconds()
	case p.cpu == cpuFromThreads && scheduled:
		r.metrics[record.CPUSeconds] = float64(total.running) / 1e9
	case p.cpu == cpuFromTicks:
		r.metrics[record.CPUSeconds] = stat.cpu.Seconds()
	}
	return nil
}

// clock asks the process's CPU clock, which a tree of files does not have.
func (p *processSource) clock() (time.Duration, error) {
	if p.files.root != "" {
		return 0, errors.New("no clock")
	}
	return cpuClock(p.target.PID)
}

// threadsHave says which files the threads have on this kernel.
type threadsHave struct{ times, switches bool }

// readThreads adds up the counters of all threads that there ever were since the
// first call, so that a sum does not fall when a thread ends.
func (p *processSource) readThreads() (total threadCounts, has threadsHave) {
	names, err := readNames(p.files.root+procPath(p.target.PID, "task"), p.names)
	if err != nil {
		return threadCounts{}, threadsHave{}
	}
	p.names = names
	p.round++
	for _, name := range names {
		id, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		now, found := p.readThread(name)
		has.times = has.times || found.times
		has.switches = has.switches || found.switches
		if (p.has.times && !found.times) || (p.has.switches && !found.switches) {
			continue // it is just ending; what it had last is counted
		}
		p.has = has
		p.noteThread(id, now)
	}
	total = p.ended
	for id, thread := range p.threads {
		total.add(*thread)
		if thread.round != p.round {
			p.ended.add(*thread)
			delete(p.threads, id)
		}
	}
	return total, has
}

func (p *processSource) readThread(name string) (now threadCounts, found threadsHave) {
	now.round = p.round
	if text, err := p.files.read(procPath(p.target.PID, "task", name, "schedstat")); err == nil {
		if now.running, now.waiting, err = parseSchedstat(text); err == nil {
			found.times = true
		}
	}
	if text, err := p.files.read(procPath(p.target.PID, "task", name, "status")); err == nil {
		now.switches, found.switches = field(text, "voluntary_ctxt_switches")
	}
	return now, found
}

// noteThread keeps a thread's counters. Counters that fell belong to another
// thread that was given the number of an ended one.
func (p *processSource) noteThread(id int, now threadCounts) {
	known := p.threads[id]
	if known == nil {
		p.threads[id] = &now
		return
	}
	if now.running < known.running || now.waiting < known.waiting || now.switches < known.switches {
		p.ended.add(*known)
	}
	*known = now
}

func (t *threadCounts) add(other threadCounts) {
	t.running += other.running
	t.waiting += other.waiting
	t.switches += other.switches
}

// readNames lists a folder into a buffer.
func readNames(path string, buffer []string) ([]string, error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return append(buffer[:0], names...), nil
}
