package process

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// shimArgs words what Shim parses.
func shimArgs(parent int, groups []string, program string, args []string) []string {
	out := []string{ShimVerb, "-parent=" + strconv.Itoa(parent)}
	for _, group := range groups {
		out = append(out, "-group="+group)
	}
	return append(append(out, "--", program), args...)
}

// shimCommand is what Shim is told.
type shimCommand struct {
	parent int
	groups []string
	argv   []string // program and arguments
}

func parseShim(args []string) (shimCommand, error) {
	var c shimCommand
	flags := flag.NewFlagSet(ShimVerb, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&c.parent, "parent", 0, "process id of the owner")
	flags.Func("group", "cgroup folder to join", func(s string) error {
		if !filepath.IsAbs(s) {
			return fmt.Errorf("%q is not an absolute path", s)
		}
		c.groups = append(c.groups, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return shimCommand{}, fmt.Errorf("shim: %w", err)
	}
	c.argv = flags.Args()
	switch {
	case c.parent <= 0:
		return shimCommand{}, errors.New("shim: no parent given")
	case len(c.argv) == 0:
		return shimCommand{}, errors.New("shim: no program given")
	case strings.ContainsRune(strings.Join(c.argv, ""), 0):
		return shimCommand{}, errors.New("shim: NUL in the command line")
	}
	return c, nil
}

// Shim joins the cgroups it is told and then becomes the program it is told,
// in the same process. It returns only when that was not possible. It must be
// called from the hidden subcommand of a program that does nothing else.
func Shim(args []string) error {
	c, err := parseShim(args)
	if err != nil {
		return err
	}
	// The parent-death signal belongs to a thread. The thread that calls exec
	// becomes the new program's main thread, so the signal is asked for there;
	// what the parent asked for was this program's first thread's.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("shim: ask to die with the parent: %w", err)
	}
	// A parent that died before the line above sends no signal any more.
	if parent := unix.Getppid(); parent != c.parent {
		return fmt.Errorf("shim: the parent (pid %d) is gone", c.parent)
	}
	for _, group := range c.groups {
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("shim: join cgroup: %w", err)
		}
	}
	if err := unix.Exec(c.argv[0], c.argv, os.Environ()); err != nil {
		return fmt.Errorf("shim: start %s: %w", c.argv[0], err)
	}
	return nil
}
