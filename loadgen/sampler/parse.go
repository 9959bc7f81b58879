package sampler

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ticksPerSecond is USER_HZ, the unit of times in /proc, which is 100 on every
// architecture that Go supports.
const ticksPerSecond = 100

// processStat is what is needed of /proc/PID/stat.
type processStat struct {
	state   byte
	cpu     time.Duration // user and system, of all threads, ended ones included
	threads int64
	start   uint64 // ticks after boot; tells processes of one number apart
}

// Fields of /proc/PID/stat counted from the state, which follows the command's
// name in parentheses; the name itself may hold spaces and parentheses.
const (
	statUser    = 11
	statSystem  = 12
	statThreads = 17
	statStart   = 19
)

func parseProcessStat(text []byte) (processStat, error) {
	nameEnd := bytes.LastIndexByte(text, ')')
	if nameEnd < 0 {
		return processStat{}, errors.New("stat has no command name")
	}
	fields := bytes.Fields(text[nameEnd+1:])
	if len(fields) <= statStart || len(fields[0]) != 1 {
		return processStat{}, fmt.Errorf("stat has %d fields after the name", len(fields))
	}
	var numbers [4]uint64
	for i, field := range []int{statUser, statSystem, statThreads, statStart} {
		n, err := parseUint(fields[field])
		if err != nil {
			return processStat{}, fmt.Errorf("stat: %w", err)
		}
		numbers[i] = n
	}
	return processStat{
		state:   fields[0][0],
		cpu:     ticks(numbers[0] + numbers[1]),
		threads: int64(numbers[2]),
		start:   numbers[3],
	}, nil
}

func ticks(n uint64) time.Duration { return time.Duration(n) * (time.Second / ticksPerSecond) }

func parseUint(text []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a count", text)
	}
	return n, nil
}

// parseResidentPages reads the second field of /proc/PID/statm.
func parseResidentPages(text []byte) (uint64, error) {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, errors.New("statm has less than two fields")
	}
	return parseUint(fields[1])
}

// parseSchedstat reads nanoseconds on a processor and nanoseconds waiting for one.
func parseSchedstat(text []byte) (running, waiting uint64, err error) {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, 0, errors.New("schedstat has less than two fields")
	}
	if running, err = parseUint(fields[0]); err != nil {
		return 0, 0, err
	}
	waiting, err = parseUint(fields[1])
	return running, waiting, err
}

// field returns the number that follows a name at the beginning of a line, as in
// "nr_throttled 12", "MemAvailable:  5 kB" and "some avg10=0.00 … total=78".
func field(text []byte, name string) (value uint64, ok bool) {
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		if !bytes.HasPrefix(line, []byte(name)) {
			continue
		}
		rest := line[len(name):]
		if len(rest) == 0 || (rest[0] != ' ' && rest[0] != '\t' && rest[0] != ':') {
			continue // a longer name
		}
		words := bytes.Fields(bytes.TrimLeft(rest, ":"))
		if len(words) == 0 {
			return 0, false
		}
		n, err := parseUint(words[0])
		return n, err == nil
	}
	return 0, false
}

// hostCPU is what is needed of the first line of /proc/stat.
type hostCPU struct {
	idle     time.Duration // also while waiting for a disk
	steal    time.Duration
	hasSteal bool
}

func parseHostCPU(text []byte) (hostCPU, error) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 6 || string(fields[0]) != "cpu" {
		return hostCPU{}, errors.New("/proc/stat does not begin with a line for all processors")
	}
	var numbers [3]uint64
	for i, at := range []int{4, 5, 8} { // idle, iowait, steal
		if at >= len(fields) {
			continue
		}
		n, err := parseUint(fields[at])
		if err != nil {
			return hostCPU{}, fmt.Errorf("/proc/stat: %w", err)
		}
		numbers[i] = n
	}
	return hostCPU{
		idle: ticks(numbers[0] + numbers[1]), steal: ticks(numbers[2]), hasSteal: len(fields) > 8,
	}, nil
}

// parsePressure returns for how long some task waited, from a file of
// /proc/pressure.
func parsePressure(text []byte) (time.Duration, error) {
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("some ")) {
			continue
		}
		_, total, found := bytes.Cut(line, []byte("total="))
		if !found {
			break
		}
		micros, err := parseUint(bytes.TrimSpace(total))
		if err != nil {
			return 0, err
		}
		return time.Duration(micros) * time.Microsecond, nil
	}
	return 0, errors.New("no total of some")
}
