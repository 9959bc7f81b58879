package process

import (
	"errors"
	"fmt"
	"syscall"
)

// ErrPlatform means that processes can be owned on Linux only.
var ErrPlatform = errors.New("starting a lab needs Linux")

// ShimVerb is the word that a program's hidden subcommand passes on to Shim:
// children that need it are started as Config.Self, ShimVerb, arguments.
const ShimVerb = "shim"

// Config says how an Owner works.
type Config struct {
	// StateDir is where the owner registers itself, for Sweep. Made when absent.
	StateDir string
	// Self is the command line that reaches Shim, but for ShimVerb and its
	// arguments. Empty: children get no cgroup where that needs Shim.
	Self []string
}

// Limits are what a child may use; zero means unlimited.
type Limits struct {
	CPUMilli    int64 // thousandths of a core
	MemoryBytes int64
}

// Options say what to start.
type Options struct {
	Name   string   // unique within the owner, a valid file name; for errors and the cgroup
	Path   string   // the program
	Args   []string // without the program itself
	Env    []string // the whole environment; nothing is inherited
	Dir    string   // working folder; empty: the owner's
	Limits Limits
	// TailLines is how many of the last lines of standard output and standard
	// error are kept; 0 means 40.
	TailLines int
}

// Exit is how a process ended.
type Exit struct {
	Code      int            // exit status; -1 when a signal ended it
	Signal    syscall.Signal // 0: not by a signal
	OOM       bool           // the kernel killed it for its memory limit
	Requested bool           // Stop was called before it ended
}

// String says how the process ended: "exit status 1", "signal: killed".
func (e Exit) String() string {
	switch {
	case e.OOM:
		return fmt.Sprintf("signal: %s (memory limit exceeded)", e.Signal)
	case e.Signal != 0:
		return fmt.Sprintf("signal: %s", e.Signal)
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Cgroup says where a child's accounting and limits are. A path is empty where
// the controller is not there.
type Cgroup struct {
	Version int    // 1 or 2
	CPU     string // folder with cpu.stat; the CPU limit is here
	CPUAcct string // folder with cpuacct.usage (version 1); the same as CPU in version 2
	Memory  string // folder with memory.usage_in_bytes or memory.current
}

// Swept says what Sweep removed.
type Swept struct {
	Owners    int // owners that are gone
	Processes int // of theirs that were still there
	Damaged   int // of the owners, those whose record could be read in part only
}
