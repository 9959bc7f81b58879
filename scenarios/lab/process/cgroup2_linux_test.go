package process

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fakeV2 lays out a version 2 hierarchy as the kernel's admin-guide/cgroup-v2
// describes it: a mount, a slice that hands cpu and memory down, and in it the
// group that this process would be in, which hands nothing down since a group
// with processes can't. It returns the mount point and the slice.
func fakeV2(t *testing.T) (point, slice string) {
	t.Helper()
	point = t.TempDir()
	slice = filepath.Join(point, "user.slice")
	for folder, files := range map[string]map[string]string{
		point: {"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": "memory pids\n", "cgroup.procs": "1\n"},
		slice: {"cgroup.controllers": "memory pids cpu\n", "cgroup.subtree_control": "cpu memory pids\n", "cgroup.procs": ""},
		filepath.Join(slice, "sailplan.scope"): {
			"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "\n", "cgroup.procs": "4711\n0\n4712\n",
			"cpu.max": "max 100000\n", "memory.max": "max\n",
			"cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
		},
	} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return point, slice
}

// chooseFakeV2 finds the place for groups as an owner does.
func chooseFakeV2(t *testing.T, point string) (hierarchy, error) {
	t.Helper()
	mounts, err := parseMounts(strings.NewReader("30 1 0:26 / " + point + " rw shared:2 - cgroup2 cgroup2 rw,nsdelegate\n"))
	if err != nil {
		t.Fatal(err)
	}
	return chooseHierarchy(mounts, nil, "/user.slice/sailplan.scope")
}

// TestGroupV2 makes a group with limits beside the process's own, and reads it
// back.
func TestGroupV2(t *testing.T) {
	point, slice := fakeV2(t)
	h, err := chooseFakeV2(t, point)
	if want := (hierarchy{version: 2, cpu: slice, cpuacct: slice, memory: slice}); err != nil || h != want {
		t.Fatalf("hierarchy = %+v, %v, want %+v", h, err, want)
	}
	paths := h.paths("sailplan-1-2-abc-gateway-0")
	folder := filepath.Join(slice, "sailplan-1-2-abc-gateway-0")
	if want := (Cgroup{Version: 2, CPU: folder, CPUAcct: folder, Memory: folder}); paths != want {
		t.Fatalf("paths = %+v, want %+v", paths, want)
	}
	g, err := makeGroup(paths, Limits{CPUMilli: 1500, MemoryBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpu.max": "150000 100000", "memory.max": "67108864", "memory.swap.max": "0"} {
		if got, err := os.ReadFile(filepath.Join(folder, file)); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v, want %q", file, got, err, want)
		}
	}
	if _, err := makeGroup(paths, Limits{}); err == nil {
		t.Error("a group that is there already was made again")
	}
	for text, want := range map[string]bool{
		"low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 0\n": false,
		"low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n": true,
	} {
		if err := os.WriteFile(filepath.Join(folder, "memory.events"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := g.oomKilled(); got != want {
			t.Errorf("oomKilled = %t with %q", got, text)
		}
	}
	// 0 stands for a process that has no number in this pid namespace.
	if pids, err := members(filepath.Join(slice, "sailplan.scope")); err != nil || !slices.Equal(pids, []int{4711, 4712}) {
		t.Errorf("members = %v, %v", pids, err)
	}
	if named := groupsNamed(h, "sailplan-1-2-abc"); !slices.Equal(named, []string{folder}) {
		t.Errorf("groups of the owner = %q, want %q", named, folder)
	}
}

// TestDelegatedWithoutPermission: a slice that hands its controllers down but
// belongs to somebody else is no place for groups, and the error says what is
// missing.
func TestDelegatedWithoutPermission(t *testing.T) {
	point, slice := fakeV2(t)
	for _, folder := range []string{filepath.Dir(point), point} { // a test's folder is closed to others
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(slice, 0o555); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Chmod(slice, 0o755); err != nil {
			t.Error(err)
		}
	}()
	h, err := asNobody(func() (hierarchy, error) { return chooseFakeV2(t, point) })
	if err == nil || !strings.Contains(err.Error(), "no writable cgroup") {
		t.Errorf("= %+v, %v, want an error about what is not writable", h, err)
	}
	if err := os.Chmod(slice, 0o777); err != nil {
		t.Fatal(err)
	}
	if h, err := asNobody(func() (hierarchy, error) { return chooseFakeV2(t, point) }); err != nil || h.cpu != slice {
		t.Errorf("= %+v, %v, want %s when it is writable", h, err, slice)
	}
}

// asNobody runs f on a thread that has lost root's rights in access(2), if it had
// them. The thread ends with it, since the goroutine does not unlock it.
func asNobody(f func() (hierarchy, error)) (h hierarchy, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Getuid() == 0 {
			runtime.LockOSThread()
			const nobody, unchanged = 65534, ^uintptr(0)
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, unchanged, unchanged); errno != 0 {
				err = errno
				return
			}
		}
		h, err = f()
	}()
	<-done
	return h, err
}

// TestLimitsV2 asks for limits in a real version 2 hierarchy:
// where it has no cpu controller the child runs without, and it is said; where it
// has, cpu.max is what was asked for.
func TestLimitsV2(t *testing.T) {
	folder := mountV2(t)
	o := newTestOwner(t)
	o.hierarchy, o.hierarchyGone = hierarchy{version: 2, cpu: folder, cpuacct: folder, memory: folder}, nil
	p := startHelper(t, o, Limits{CPUMilli: 300}, "wait")
	given, err := os.ReadFile(filepath.Join(folder, "cgroup.subtree_control"))
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(strings.Fields(string(given)), "cpu") {
		group, ok := p.Cgroup()
		if text, err := os.ReadFile(filepath.Join(group.CPU, "cpu.max")); !ok || err != nil || string(text) != "30000 100000\n" {
			t.Errorf("cpu.max = %q, %v", text, err)
		}
		return
	}
	if why := o.WhyNoLimits(); len(why) != 1 || !strings.Contains(why[0], "cpu.max") {
		t.Errorf("why = %q, want one reason that names cpu.max", why)
	}
	if _, ok := p.Cgroup(); ok || p.LimitsBind() {
		t.Errorf("cgroup of its own = %t, limits bind = %t, want neither", ok, p.LimitsBind())
	}
	if left := groupsNamed(o.hierarchy, o.id); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

// mountV2 returns the root of a writable version 2 hierarchy of this machine.
func mountV2(t *testing.T) string {
	t.Helper()
	for _, folder := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(folder, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC && unix.Access(folder, unix.W_OK) == nil {
			return folder
		}
	}
	missing(t, "cgroup", "no writable version 2 hierarchy")
	return ""
}
