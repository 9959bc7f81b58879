package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/cgroups/v3"
	"golang.org/x/sys/unix"
)

// cfsPeriodMicros is the period that Kubernetes uses for CPU limits; how long a
// throttled process stalls depends on it.
const cfsPeriodMicros = 100_000

// removeWait bounds how long an empty cgroup may take to become removable.
const removeWait = 5 * time.Second

// folders returns the distinct folders, which version 1 may share.
func (c Cgroup) folders() []string {
	var out []string
	for _, path := range []string{c.CPU, c.CPUAcct, c.Memory} {
		if path != "" && !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

// hierarchy is where an owner may make cgroups.
type hierarchy struct {
	version int
	// Parents of the groups to be made, by controller.
	cpu, cpuacct, memory string
}

// mount is one cgroup mount of this process's view.
type mount struct {
	point       string
	root        string // the part of the hierarchy that is mounted there
	version     int
	controllers []string // version 1
}

// parseMounts reads the cgroup mounts from the text of /proc/self/mountinfo.
func parseMounts(r io.Reader) ([]mount, error) {
	var mounts []mount
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		before, after, found := strings.Cut(lines.Text(), " - ")
		front, back := strings.Fields(before), strings.Fields(after)
		if !found || len(front) < 5 || len(back) < 3 {
			continue
		}
		m := mount{root: unescapeMount(front[3]), point: unescapeMount(front[4])}
		switch back[0] {
		case "cgroup":
			m.version, m.controllers = 1, strings.Split(back[2], ",")
		case "cgroup2":
			m.version = 2
		default:
			continue
		}
		mounts = append(mounts, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return mounts, nil
}

// unescapeMount undoes the octal escapes of mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// own returns the folder of the cgroup path (from /proc/self/cgroup) below the
// mount, or the mount itself when the path lies outside what is mounted.
func (m mount) own(path string) string {
	rel, err := filepath.Rel(m.root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return m.point
	}
	return filepath.Join(m.point, rel)
}

// findHierarchy says where groups can be made on this machine.
func findHierarchy() (hierarchy, error) {
	v1Paths, v2Path, err := cgroups.ParseCgroupFileUnified("/proc/self/cgroup")
	if err != nil {
		return hierarchy{}, fmt.Errorf("read own cgroups: %w", err)
	}
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return hierarchy{}, fmt.Errorf("read mounts: %w", err)
	}
	defer file.Close()
	mounts, err := parseMounts(file)
	if err != nil {
		return hierarchy{}, err
	}
	return chooseHierarchy(mounts, v1Paths, v2Path)
}

// chooseHierarchy prefers version 1 where it owns the CPU controller: then
// version 2, if mounted at all, can't have it.
func chooseHierarchy(mounts []mount, v1Paths map[string]string, v2Path string) (hierarchy, error) {
	parent := func(controller string) string {
		for _, m := range mounts {
			if path, member := v1Paths[controller]; member && m.version == 1 && slices.Contains(m.controllers, controller) {
				return m.own(path)
			}
		}
		return ""
	}
	h := hierarchy{version: 1, cpu: parent("cpu"), cpuacct: parent("cpuacct"), memory: parent("memory")}
	if h.cpu != "" {
		return h, nil
	}
	for _, m := range mounts {
		if m.version != 2 {
			continue
		}
		folder, err := delegated(m.point, m.own(v2Path))
		if err != nil {
			return hierarchy{}, err
		}
		return hierarchy{version: 2, cpu: folder, cpuacct: folder, memory: folder}, nil
	}
	return hierarchy{}, errors.New("no cgroup file system with a cpu controller is mounted")
}

// delegated returns the nearest folder, from own up to the mount point, whose
// children get the cpu and memory controllers. A group with processes of its
// own can't hand controllers down, so it is usually an ancestor.
func delegated(point, own string) (string, error) {
	for folder := own; ; folder = filepath.Dir(folder) {
		text, err := os.ReadFile(filepath.Join(folder, "cgroup.subtree_control"))
		if err == nil {
			given := strings.Fields(string(text))
			if slices.Contains(given, "cpu") && slices.Contains(given, "memory") && unix.Access(folder, unix.W_OK) == nil {
				return folder, nil
			}
		}
		if folder == point || len(folder) <= len(point) {
			return "", errors.New("no writable cgroup above this process hands the cpu and memory controllers down")
		}
	}
}

// group is one child's cgroup.
type group struct {
	paths Cgroup
}

// paths names the group's folders without making them.
func (h hierarchy) paths(name string) Cgroup {
	below := func(parent string) string {
		if parent == "" {
			return ""
		}
		return filepath.Join(parent, name)
	}
	return Cgroup{Version: h.version, CPU: below(h.cpu), CPUAcct: below(h.cpuacct), Memory: below(h.memory)}
}

// makeGroup makes the folders and sets the limits. What could be made before an
// error is left for remove.
func makeGroup(paths Cgroup, limits Limits) (*group, error) {
	for _, folder := range paths.folders() {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
	}
	if err := setLimits(paths, limits); err != nil {
		return nil, err
	}
	return &group{paths: paths}, nil
}

// setLimit writes a file of a group.
func setLimit(folder, file, value string) error {
	if folder == "" {
		return fmt.Errorf("set cgroup limit %s: there is no such controller", file)
	}
	if err := os.WriteFile(filepath.Join(folder, file), []byte(value), 0o600); err != nil {
		return fmt.Errorf("set cgroup limit to %s: %w", value, err)
	}
	return nil
}

// LimitCPU changes the CPU quota of a group, in thousandths of a core; 0 lifts it.
func (c Cgroup) LimitCPU(milli int64) error {
	quota, none := strconv.FormatInt(milli*cfsPeriodMicros/1000, 10), "max"
	if c.Version != 2 {
		none = "-1"
	}
	if milli <= 0 {
		quota = none
	}
	period := strconv.FormatInt(cfsPeriodMicros, 10)
	if c.Version == 2 {
		return setLimit(c.CPU, "cpu.max", quota+" "+period)
	}
	if err := setLimit(c.CPU, "cpu.cfs_period_us", period); err != nil {
		return err
	}
	return setLimit(c.CPU, "cpu.cfs_quota_us", quota)
}

func setLimits(paths Cgroup, limits Limits) error {
	bytes := strconv.FormatInt(limits.MemoryBytes, 10)
	if limits.CPUMilli > 0 {
		if err := paths.LimitCPU(limits.CPUMilli); err != nil {
			return err
		}
	}
	if limits.MemoryBytes > 0 {
		file, swap, swapLimit := "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes
		if paths.Version == 2 {
			file, swap, swapLimit = "memory.max", "memory.swap.max", "0"
		}
		if err := setLimit(paths.Memory, file, bytes); err != nil {
			return err
		}
		// Kubernetes nodes have no swap, and here none is wanted; kernels
		// without swap accounting lack the file.
		_ = setLimit(paths.Memory, swap, swapLimit)
	}
	return nil
}

// oomKilled reports whether the kernel killed a process of the group for its
// memory limit.
func (g *group) oomKilled() bool {
	file := "memory.oom_control"
	if g.paths.Version == 2 {
		file = "memory.events"
	}
	if g.paths.Memory == "" {
		return false
	}
	text, err := os.ReadFile(filepath.Join(g.paths.Memory, file))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 2 && string(fields[0]) == "oom_kill" {
			return string(fields[1]) != "0"
		}
	}
	return false
}

// members returns the processes in a group's folder.
func members(folder string) ([]int, error) {
	text, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if err != nil {
		return nil, fmt.Errorf("read members of cgroup: %w", err)
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("members of cgroup %s: %w", folder, err)
		}
		if pid > 0 { // 0: a process of another pid namespace, which can't be named here
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// removeFolders kills what is left in the groups and removes them. A folder
// that is not there counts as removed.
func removeFolders(folders []string) error {
	var errs []error
	for _, folder := range folders {
		errs = append(errs, removeFolder(folder))
	}
	return errors.Join(errs...)
}

func removeFolder(folder string) error {
	deadline := time.Now().Add(removeWait)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := unix.Rmdir(folder)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return fmt.Errorf("remove cgroup %s: %w", folder, err)
		}
		if pids, err := members(folder); err == nil {
			for _, pid := range pids {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		time.Sleep(pause)
	}
}
