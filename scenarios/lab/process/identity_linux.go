package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// identity names one process for good: an id alone is used again.
type identity struct {
	PID int `json:"pid"`
	// StartTicks is when the process started, in clock ticks since boot
	// (field 22 of /proc/PID/stat).
	StartTicks uint64 `json:"startTicks"`
}

// parseStat reads state and start time from the text of /proc/PID/stat. The
// second field, the command in parentheses, may itself hold spaces and
// parentheses.
func parseStat(text []byte) (state byte, startTicks uint64, err error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, 0, errors.New("no command field")
	}
	fields := strings.Fields(string(text[end+1:]))
	// fields[0] is field 3, so field 22 is fields[19].
	if len(fields) < 20 || len(fields[0]) != 1 {
		return 0, 0, fmt.Errorf("%d fields after the command, want at least 20", len(fields))
	}
	startTicks, err = strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("start time: %w", err)
	}
	return fields[0][0], startTicks, nil
}

// identify returns the identity of a living process; ok is false when there is
// none, or only its remains.
func identify(pid int) (id identity, ok bool) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return identity{}, false
	}
	state, ticks, err := parseStat(text)
	if err != nil || state == 'Z' || state == 'X' {
		return identity{}, false
	}
	return identity{PID: pid, StartTicks: ticks}, true
}

// alive reports whether this very process lives.
func (i identity) alive() bool {
	now, ok := identify(i.PID)
	return ok && now == i
}

func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
