package process

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The test binary is also the children that the tests start: helperWord, what
// to be, arguments.
const helperWord = "process-helper"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == helperWord {
		if err := helper(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func helper(verb string, args []string) error {
	switch verb {
	case ShimVerb:
		return Shim(args)
	case "say": // prints its arguments, one a line, then exits with the first as status
		for _, line := range args[1:] {
			fmt.Println(line)
		}
		code, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		os.Exit(code)
	case "wait": // until killed
		fmt.Println("waiting")
		time.Sleep(time.Hour)
	case "stubborn": // ignores SIGTERM
		ignoreTerm()
		fmt.Println("waiting")
		time.Sleep(time.Hour)
	case "burn": // one core, for at most the given CPU time in milliseconds
		return burn(args[0])
	case "eat": // memory, without end
		var kept [][]byte
		for {
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = 1
			}
			kept = append(kept, block)
			if len(kept) > 1<<14 {
				return fmt.Errorf("ate %d MiB and was not stopped", len(kept))
			}
		}
	case "parent":
		return parent(args[0])
	}
	return fmt.Errorf("unknown helper %q", verb)
}

// burn uses CPU time and prints how much wall-clock time that took, in
// milliseconds.
func burn(milliseconds string) error {
	n, err := strconv.Atoi(milliseconds)
	if err != nil {
		return err
	}
	used := func() (time.Duration, error) {
		var usage unix.Rusage
		err := unix.Getrusage(unix.RUSAGE_SELF, &usage)
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), err
	}
	before, err := used() // also of the shim, which the limit did not hold
	if err != nil {
		return err
	}
	began := time.Now()
	for now := before; now-before < time.Duration(n)*time.Millisecond; {
		for range 100_000 {
			sink++
		}
		if now, err = used(); err != nil {
			return err
		}
	}
	fmt.Println(time.Since(began).Milliseconds())
	return nil
}

var sink int

// parentReport is what the helper "parent" prints once its children run.
type parentReport struct {
	Children []int
	Groups   []string
	Folder   string
}

// parent owns two children and never closes.
func parent(stateDir string) error {
	o, err := NewOwner(Config{StateDir: stateDir, Self: selfCommand()})
	if err != nil {
		return err
	}
	report := parentReport{Folder: o.folder}
	for _, verb := range []string{"wait", "stubborn"} {
		p, err := o.Start(context.Background(), Options{Name: verb, Path: os.Args[0], Args: []string{helperWord, verb}})
		if err != nil {
			return err
		}
		report.Children = append(report.Children, p.PID())
		if group, ok := p.Cgroup(); ok {
			report.Groups = append(report.Groups, group.folders()...)
		}
		if err := spoken(p); err != nil {
			return err
		}
	}
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	time.Sleep(time.Hour) // the test kills it
	return nil
}

// spoken waits until the process has written a line.
func spoken(p *Process) error {
	deadline := time.Now().Add(20 * time.Second)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for len(p.Tail()) == 0 {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is silent", p.Name())
		}
		select {
		case <-p.Exited():
			return fmt.Errorf("ended early: %s", p.Describe())
		case <-ticker.C:
		}
	}
	return nil
}

func selfCommand() []string { return []string{os.Args[0], helperWord} }

func lines(p *Process) string { return strings.Join(p.Tail(), "\n") }
