package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func ignoreTerm() { signal.Ignore(syscall.SIGTERM) }

// missing skips the test because the machine lacks something, or fails it when
// that something is required.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), what) {
		t.Fatalf("%s is required: %s", what, why)
	}
	t.Skipf("no %s: %s", what, why)
}

// newTestOwner returns an owner that is closed at the end of the test, and
// checks that it leaves nothing behind.
func newTestOwner(t *testing.T) *Owner {
	t.Helper()
	stateDir := t.TempDir()
	o, err := NewOwner(Config{StateDir: stateDir, Self: selfCommand()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := o.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
		for _, child := range o.children {
			if _, ok := identify(child.pid); ok {
				t.Errorf("%s (pid %d) is left", child.name, child.pid)
			}
		}
		checkGone(t, o.record.Groups, o.folder)
	})
	return o
}

func checkGone(t *testing.T, groups []string, folder string) {
	t.Helper()
	for _, path := range append(slices.Clone(groups), folder) {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left (%v)", path, err)
		}
	}
}

// startHelper starts the test binary as the given helper.
func startHelper(t *testing.T, o *Owner, limits Limits, verb string, args ...string) *Process {
	t.Helper()
	p, err := o.Start(t.Context(), Options{
		Name: verb, Path: os.Args[0], Args: append([]string{helperWord, verb}, args...), Limits: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExit(t *testing.T) {
	o := newTestOwner(t)
	p := startHelper(t, o, Limits{}, "say", "7", "one", "two")
	<-p.Exited()
	if got, want := p.Exit(), (Exit{Code: 7}); got != want {
		t.Errorf("exit = %+v, want %+v", got, want)
	}
	if got, want := p.Describe(), "say: exit status 7; its last lines:\n  one\n  two"; got != want {
		t.Errorf("describe = %q, want %q", got, want)
	}
	if err := p.Stop(t.Context(), time.Minute); err != nil {
		t.Errorf("stop after the end: %v", err)
	}
}

func TestStop(t *testing.T) {
	for _, tt := range []struct {
		name  string
		verb  string
		grace time.Duration
		want  syscall.Signal
	}{
		{"ends on SIGTERM", "wait", time.Minute, syscall.SIGTERM},
		{"ignores SIGTERM", "stubborn", time.Millisecond, syscall.SIGKILL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newTestOwner(t)
			p := startHelper(t, o, Limits{}, tt.verb)
			if err := spoken(p); err != nil {
				t.Fatal(err)
			}
			if err := p.Stop(t.Context(), tt.grace); err != nil {
				t.Fatal(err)
			}
			if got, want := p.Exit(), (Exit{Code: -1, Signal: tt.want, Requested: true}); got != want {
				t.Errorf("exit = %+v, want %+v", got, want)
			}
		})
	}
}

// TestGroupDies: what a child leaves in its process group dies with it.
func TestGroupDies(t *testing.T) {
	o := newTestOwner(t)
	shell, err := exec.LookPath("sh")
	if err != nil {
		missing(t, "sh", err.Error())
	}
	p, err := o.Start(t.Context(), Options{Name: "shell", Path: shell, Args: []string{"-c", os.Args[0] + " " + helperWord + " wait & echo $!"}})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	pid, err := strconv.Atoi(strings.Fields(lines(p))[0])
	if err != nil {
		t.Fatalf("the shell said %q: %v", lines(p), err)
	}
	awaitGone(t, pid)
}

// awaitGone waits until no process has the id.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, ok := identify(pid); !ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("pid %d is still there", pid)
		}
		<-ticker.C
	}
}

func TestStartErrors(t *testing.T) {
	o := newTestOwner(t)
	startHelper(t, o, Limits{}, "wait")
	for _, tt := range []struct {
		name    string
		options Options
		want    string
	}{
		{"no name", Options{Path: os.Args[0]}, "not a plain file name"},
		{"a path for a name", Options{Name: "a/b", Path: os.Args[0]}, "not a plain file name"},
		{"name taken", Options{Name: "wait", Path: os.Args[0]}, "taken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := o.Start(t.Context(), tt.options)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestNoSuchProgram: without a shim the start fails, with one the child does.
func TestNoSuchProgram(t *testing.T) {
	o := newTestOwner(t)
	p, err := o.Start(t.Context(), Options{Name: "nothing", Path: "/no/such/program"})
	if err == nil {
		<-p.Exited()
		err = errors.New(p.Describe())
	}
	if !strings.Contains(err.Error(), "/no/such/program: no such file or directory") {
		t.Errorf("error = %v, want one that names the program and the reason", err)
	}
}

func TestClosedOwnerStartsNothing(t *testing.T) {
	o := newTestOwner(t)
	if err := o.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Start(t.Context(), Options{Name: "late", Path: os.Args[0]}); err == nil {
		t.Error("a closed owner started a child")
	}
}

// TestCPULimit burns CPU time under a limit of a fifth of a core: the kernel
// must have held it back, and the group's accounting must tell.
func TestCPULimit(t *testing.T) {
	o := newTestOwner(t)
	const cpuMillis = 200
	p := startHelper(t, o, Limits{CPUMilli: 200}, "burn", strconv.Itoa(cpuMillis))
	if why := o.WhyNoLimits(); len(why) > 0 {
		missing(t, "cgroup", why[0])
	}
	group, _ := p.Cgroup()
	<-p.Exited()
	if exit := p.Exit(); exit.Code != 0 {
		t.Fatal(p.Describe())
	}
	wall, err := strconv.Atoi(strings.Fields(lines(p))[0])
	if err != nil {
		t.Fatal(err)
	}
	// 200 ms of work at 20 ms a period need ten periods of 100 ms; the first
	// has begun before the process has, and the kernel hands quota out in slices.
	// Other load can only add to it.
	if wall < 700 {
		t.Errorf("%d ms of CPU time took %d ms under a limit of 0.2 cores, want at least 700", cpuMillis, wall)
	}
	stat, err := os.ReadFile(filepath.Join(group.CPU, "cpu.stat"))
	if err != nil {
		t.Fatal(err)
	}
	// On a busy machine the process may not get to the end of its quota in
	// every period, but in some it does.
	if throttled := statField(string(stat), "nr_throttled"); throttled < 1 {
		t.Errorf("nr_throttled = %d, want at least 1", throttled)
	}
}

func statField(text, name string) int {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 2 && fields[0] == name {
			n, err := strconv.Atoi(fields[1])
			if err == nil {
				return n
			}
		}
	}
	return -1
}

func TestMemoryLimit(t *testing.T) {
	o := newTestOwner(t)
	p := startHelper(t, o, Limits{MemoryBytes: 64 << 20}, "eat")
	if why := o.WhyNoLimits(); len(why) > 0 {
		missing(t, "cgroup", why[0])
	}
	<-p.Exited()
	if got, want := p.Exit(), (Exit{Code: -1, Signal: syscall.SIGKILL, OOM: true}); got != want {
		t.Errorf("exit = %+v, want %+v; %s", got, want, p.Describe())
	}
	if !strings.Contains(p.Describe(), "memory limit exceeded") {
		t.Errorf("%q does not say why", p.Describe())
	}
}

// TestLimitsNotPermitted: a limit that can't bind is no failure, but is told.
func TestLimitsNotPermitted(t *testing.T) {
	o := newTestOwner(t)
	o.hierarchy = hierarchy{version: 1, cpu: filepath.Join(t.TempDir(), "absent")}
	o.hierarchyGone = nil
	p := startHelper(t, o, Limits{CPUMilli: 100}, "say", "0")
	<-p.Exited()
	if exit := p.Exit(); exit.Code != 0 {
		t.Error(p.Describe())
	}
	why := o.WhyNoLimits()
	if len(why) != 1 || !strings.HasPrefix(why[0], "say: make cgroup: ") {
		t.Errorf("why = %q, want one reason that names the child", why)
	}
	if _, ok := p.Cgroup(); ok || p.LimitsBind() {
		t.Errorf("cgroup of its own = %t, limits bind = %t, want neither", ok, p.LimitsBind())
	}
}

// startParent starts a process that owns children and returns what it says.
func startParent(t *testing.T, stateDir string) (*exec.Cmd, parentReport) {
	t.Helper()
	cmd := exec.Command(os.Args[0], helperWord, "parent", stateDir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if _, err := Sweep(context.Background(), stateDir); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var report parentReport
	if err := json.Unmarshal(line, &report); err != nil {
		t.Fatal(err)
	}
	return cmd, report
}

// TestKilledOwner: children die with an owner that is killed, and the next
// sweep removes what it left; a living owner's things are not touched.
func TestKilledOwner(t *testing.T) {
	stateDir := t.TempDir()
	cmd, report := startParent(t, stateDir)
	for _, pid := range report.Children {
		if _, ok := identify(pid); !ok {
			t.Fatalf("child %d does not run", pid)
		}
	}
	if swept, err := Sweep(t.Context(), stateDir); err != nil || swept != (Swept{}) {
		t.Fatalf("sweep beside a living owner = %+v, %v, want nothing", swept, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range report.Children {
		awaitGone(t, pid)
	}
	// Dead, but not reaped: an owner is gone even while its remains are there.
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	swept, err := Sweep(t.Context(), stateDir)
	if err != nil {
		t.Fatal(err)
	}
	if swept.Owners != 1 {
		t.Errorf("swept %+v, want one owner", swept)
	}
	checkGone(t, report.Groups, report.Folder)
	if swept, err := Sweep(t.Context(), stateDir); err != nil || swept != (Swept{}) {
		t.Errorf("second sweep = %+v, %v, want nothing", swept, err)
	}
}

// TestSweepKillsOnlyItsOwn: a record whose start time is another process's
// kills nobody; one that matches kills that process.
func TestSweepKillsOnlyItsOwn(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		alter     func(r *record)
		processes int
	}{
		{"the recorded process", func(*record) {}, 1},
		{"its id was used again", func(r *record) { r.Children[0].StartTicks-- }, 0},
		{"recorded before the last boot", func(r *record) { r.BootID = "another" }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newTestOwner(t)
			p := startHelper(t, o, Limits{}, "wait")
			child, ok := identify(p.PID())
			if !ok {
				t.Fatal("the child does not run")
			}
			// Another owner, long gone, that had this child.
			stateDir := t.TempDir()
			folder := filepath.Join(stateDir, ownerPrefix+"4194305-1-abcdef")
			left := record{identity: identity{PID: 4194305, StartTicks: 1}, BootID: boot, Children: []identity{child}, Groups: o.record.Groups}
			tt.alter(&left)
			text, err := json.Marshal(left)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, recordFile), text, 0o600); err != nil {
				t.Fatal(err)
			}
			swept, err := Sweep(t.Context(), stateDir)
			if want := (Swept{Owners: 1, Processes: tt.processes}); err != nil || swept != want {
				t.Errorf("sweep = %+v, %v, want %+v", swept, err, want)
			}
			checkGone(t, nil, folder)
			if tt.processes > 0 {
				<-p.Exited()
			} else if !child.alive() {
				t.Error("it killed a process that is not its own")
			}
			// The groups named are another owner's, whose id they carry.
			for _, group := range o.record.Groups {
				if _, err := os.Lstat(group); err != nil {
					t.Errorf("it removed a cgroup of another owner: %v", err)
				}
			}
		})
	}
}

// TestSweepHeldLock: an owner of another pid namespace looks gone from here,
// but holds its lock.
func TestSweepHeldLock(t *testing.T) {
	stateDir := t.TempDir()
	folder := filepath.Join(stateDir, ownerPrefix+"4194305-1-abcdef")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	if swept, err := Sweep(t.Context(), stateDir); err != nil || swept != (Swept{}) {
		t.Errorf("sweep = %+v, %v, want nothing", swept, err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if swept, err := Sweep(t.Context(), stateDir); err != nil || swept.Owners != 1 {
		t.Errorf("sweep = %+v, %v, want one owner", swept, err)
	}
}

// TestOrphanGroups: cgroups whose record is lost are removed by their name when
// they are old, empty, and their owner is gone.
func TestOrphanGroups(t *testing.T) {
	me, ok := identify(os.Getpid())
	if !ok {
		t.Fatal("no identity")
	}
	now := time.Now()
	old := now.Add(-time.Hour)
	for _, tt := range []struct {
		name    string
		folder  string
		made    time.Time
		removed bool
	}{
		{"owner gone", ownerPrefix + "4194305-1-abcdef-gateway-0", old, true},
		{"owner alive", fmt.Sprintf("%s%d-%d-abcdef-gateway-0", ownerPrefix, me.PID, me.StartTicks), old, false},
		{"just made", ownerPrefix + "4194305-1-abcdef-gateway-0", now, false},
		{"somebody else's", "4194305-1-abcdef-gateway-0", old, false},
		{"no child's name", ownerPrefix + "4194305-1-abcdef", old, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parent := t.TempDir() // stands for a cgroup: rmdir is all that is done to it
			folder := filepath.Join(parent, tt.folder)
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(folder, tt.made, tt.made); err != nil {
				t.Fatal(err)
			}
			sweepOrphans(hierarchy{version: 2, cpu: parent, cpuacct: parent, memory: parent}, now)
			_, err := os.Lstat(folder)
			if removed := errors.Is(err, os.ErrNotExist); removed != tt.removed {
				t.Errorf("removed = %t, want %t", removed, tt.removed)
			}
		})
	}
}

// TestShimOrphan: a shim whose parent is not the one it was told of starts
// nothing.
func TestShimOrphan(t *testing.T) {
	cmd := exec.Command(os.Args[0], append([]string{helperWord}, shimArgs(os.Getpid()+1, nil, os.Args[0], []string{helperWord, "say", "0"})...)...)
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(string(output), "is gone") {
		t.Errorf("it ended with %v and said %q", err, output)
	}
}

// TestIntoGroupV2 starts a child inside a version 2 cgroup, without limits, so
// that it also runs where version 2 has no controllers.
func TestIntoGroupV2(t *testing.T) {
	folder := mountV2(t)
	o := newTestOwner(t)
	o.hierarchy, o.hierarchyGone = hierarchy{version: 2, cpu: folder, cpuacct: folder, memory: folder}, nil
	p := startHelper(t, o, Limits{}, "wait")
	group, ok := p.Cgroup()
	if !ok {
		t.Fatal("no cgroup")
	}
	pids, err := members(group.CPU)
	if err != nil || !slices.Equal(pids, []int{p.PID()}) {
		t.Errorf("members = %v, %v, want %d alone", pids, err, p.PID())
	}
	if err := spoken(p); err != nil {
		t.Error(err)
	}
}
