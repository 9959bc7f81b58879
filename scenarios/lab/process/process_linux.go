package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const defaultTailLines = 40

// killWait bounds how long a killed process may take to be gone.
const killWait = 10 * time.Second

// Process is one started child.
type Process struct {
	name   string
	cmd    *exec.Cmd
	pid    int
	tail   *tail
	group  *group        // nil: no cgroup
	bound  bool          // its limits bind
	exited chan struct{} // closed by watch

	mu        sync.Mutex // guards what follows
	requested bool
	reaped    bool // the pid may belong to somebody else
	exit      Exit
}

// Name returns the name it was started under.
func (p *Process) Name() string { return p.name }

// PID returns the process id.
func (p *Process) PID() int { return p.pid }

// Cgroup returns the child's cgroup; ok is false when it has none of its own.
func (p *Process) Cgroup() (paths Cgroup, ok bool) {
	if p.group == nil {
		return Cgroup{}, false
	}
	return p.group.paths, true
}

// LimitsBind reports whether every limit that was asked for the child binds;
// true when none was.
func (p *Process) LimitsBind() bool { return p.bound }

// Exited returns a channel that is closed when the process has ended and all
// it wrote has been read.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Exit returns how the process ended. Valid once Exited is closed.
func (p *Process) Exit() Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// Tail returns the last lines the process wrote, oldest first.
func (p *Process) Tail() []string { return p.tail.snapshot() }

// Describe words the end of the process with the last lines of its log.
func (p *Process) Describe() string {
	text := fmt.Sprintf("%s: %s", p.name, p.Exit())
	if lines := p.Tail(); len(lines) > 0 {
		text += "; its last lines:\n  " + strings.Join(lines, "\n  ")
	}
	return text
}

// watch reaps the process when it ends.
func (p *Process) watch() {
	defer close(p.exited)
	// First learn of the end without reaping: while the dead leader is still
	// there its process group id can't be anybody else's, so whatever it left
	// in the group can be killed safely.
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	p.reaped = true
	p.mu.Unlock()
	// Wait's error repeats what ProcessState says, and a pipe that a
	// grandchild holds open is cut by WaitDelay.
	_ = p.cmd.Wait()

	p.mu.Lock()
	defer p.mu.Unlock()
	p.exit.Code, p.exit.Requested = -1, p.requested
	if state := p.cmd.ProcessState; state != nil {
		p.exit.Code = state.ExitCode()
		if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			p.exit.Signal = status.Signal()
		}
	}
	if p.exit.Signal == syscall.SIGKILL && p.group != nil {
		p.exit.OOM = p.group.oomKilled()
	}
}

// signal sends sig to the process group unless the process is gone.
func (p *Process) signal(sig unix.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requested = true
	if !p.reaped {
		_ = unix.Kill(-p.pid, sig)
	}
}

// Stop asks the process to end with SIGTERM and kills its group with SIGKILL
// when it has not ended within grace or when ctx ends. It returns once the
// process is gone, at most 10 s after the kill; only then is there an error.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	p.signal(unix.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	p.signal(unix.SIGKILL)
	timer.Reset(killWait)
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		return fmt.Errorf("stop %s (pid %d): still there %s after SIGKILL", p.name, p.pid, killWait)
	}
}
