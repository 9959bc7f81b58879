package process

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	for _, tt := range []struct {
		name   string
		writes []string
		want   []string
	}{
		{"nothing", nil, nil},
		{"lines in one write", []string{"a\nb\n"}, []string{"a", "b"}},
		{"a line over two writes", []string{"a", "b\nc"}, []string{"ab", "c"}},
		{"only the last three", []string{"a\nb\nc\nd\ne\n"}, []string{"c", "d", "e"}},
		{"carriage return", []string{"a\r\n"}, []string{"a"}},
		{"too long", []string{strings.Repeat("x", 3000) + "\ny\n"}, []string{strings.Repeat("x", maxLineBytes), "y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := newTail(3)
			for _, write := range tt.writes {
				if n, err := log.Write([]byte(write)); n != len(write) || err != nil {
					t.Errorf("write = %d, %v, want %d", n, err, len(write))
				}
			}
			if got := log.snapshot(); !slices.Equal(got, tt.want) {
				t.Errorf("kept %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	rest := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	for _, tt := range []struct {
		name, text string
		state      byte
		ticks      uint64
		ok         bool
	}{
		{"plain", "42 (envoy)" + rest, 'S', 4711, true},
		{"spaces and parentheses in the name", "42 (a) R 1 (b)" + rest, 'S', 4711, true},
		{"no name", "42 envoy S 1", 0, 0, false},
		{"cut short", "42 (envoy) S 1 2 3", 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state, ticks, err := parseStat([]byte(tt.text))
			if state != tt.state || ticks != tt.ticks || (err == nil) != tt.ok {
				t.Errorf("= %q, %d, %v, want %q, %d, ok %t", state, ticks, err, tt.state, tt.ticks, tt.ok)
			}
		})
	}
}

const (
	mountsV1 = `25 1 0:22 / /sys/fs/cgroup rw shared:1 - tmpfs tmpfs rw
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
28 25 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
`
	mountsV2 = "30 1 0:26 / /sys/fs/cgroup rw shared:2 - cgroup2 cgroup2 rw\n"
)

func TestChooseHierarchy(t *testing.T) {
	for _, tt := range []struct {
		name, mounts string
		v1           map[string]string
		want         hierarchy
		wantErr      string
	}{
		{
			name: "version 1 with controllers mounted together, and a container's mount", mounts: mountsV1,
			v1: map[string]string{"cpu": "/user", "cpuacct": "/user", "memory": "/docker/abc/sub"},
			want: hierarchy{
				version: 1, cpu: "/sys/fs/cgroup/cpu,cpuacct/user", cpuacct: "/sys/fs/cgroup/cpu,cpuacct/user",
				memory: "/sys/fs/cgroup/memory/sub",
			},
		},
		{
			name: "own path outside what is mounted", mounts: mountsV1,
			v1:   map[string]string{"cpu": "/", "memory": "/docker/other"},
			want: hierarchy{version: 1, cpu: "/sys/fs/cgroup/cpu,cpuacct", memory: "/sys/fs/cgroup/memory"},
		},
		{name: "nothing mounted", mounts: "", wantErr: "no cgroup file system"},
		{name: "version 2 without delegation", mounts: strings.ReplaceAll(mountsV2, "/sys/fs", "/no/such"), wantErr: "hands the cpu and memory controllers down"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mounts, err := parseMounts(strings.NewReader(tt.mounts))
			if err != nil {
				t.Fatal(err)
			}
			got, err := chooseHierarchy(mounts, tt.v1, "/user.slice")
			if got != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("= %+v, %v, want %+v, %q", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

// TestDelegated: the nearest group, from the process's own upwards, that hands
// both controllers down.
func TestDelegated(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given map[string]string // folder below the mount → cgroup.subtree_control
		want  string            // below the mount
		ok    bool
	}{
		{"its own", map[string]string{"a/b": "cpu memory pids", "a": "cpu memory"}, "a/b", true},
		{"an ancestor's", map[string]string{"a/b": "", "a": "memory pids", ".": "cpuset cpu io memory"}, ".", true},
		{"only one controller", map[string]string{"a/b": "cpu", "a": "memory", ".": "memory"}, "", false},
		{"not cpuset for cpu", map[string]string{"a": "cpuset memory"}, "", false},
		{"nothing", nil, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			point := t.TempDir()
			if err := os.MkdirAll(filepath.Join(point, "a", "b"), 0o755); err != nil {
				t.Fatal(err)
			}
			for folder, text := range tt.given {
				if err := os.WriteFile(filepath.Join(point, folder, "cgroup.subtree_control"), []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := delegated(point, filepath.Join(point, "a", "b"))
			want := ""
			if tt.ok {
				want = filepath.Join(point, tt.want)
			}
			if got != want || (err == nil) != tt.ok {
				t.Errorf("= %q, %v, want %q", got, err, want)
			}
		})
	}
}

// TestSetLimits: the values as Kubernetes would set them.
func TestSetLimits(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version int
		limits  Limits
		want    map[string]string
	}{
		{"none", 2, Limits{}, map[string]string{}},
		{"version 1, both", 1, Limits{CPUMilli: 300, MemoryBytes: 1 << 20}, map[string]string{
			"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "30000",
			"memory.limit_in_bytes": "1048576", "memory.memsw.limit_in_bytes": "1048576",
		}},
		{"version 2, both", 2, Limits{CPUMilli: 2500, MemoryBytes: 1 << 20}, map[string]string{
			"cpu.max": "250000 100000", "memory.max": "1048576", "memory.swap.max": "0",
		}},
		{"CPU alone", 2, Limits{CPUMilli: 300}, map[string]string{"cpu.max": "30000 100000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir() // stands for a cgroup
			if err := setLimits(Cgroup{Version: tt.version, CPU: folder, Memory: folder}, tt.limits); err != nil {
				t.Fatal(err)
			}
			got := make(map[string]string)
			entries, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
				if err != nil {
					t.Fatal(err)
				}
				got[entry.Name()] = string(text)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("set %v, want %v", got, tt.want)
			}
		})
	}
	if err := setLimits(Cgroup{Version: 1, CPU: t.TempDir()}, Limits{MemoryBytes: 1}); err == nil {
		t.Error("a memory limit without a memory controller was set")
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add(mountsV1)
	f.Add(mountsV2)
	f.Add("1 - cgroup")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := parseMounts(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, m := range mounts {
			if own := m.own("/a/../../b"); strings.Contains(own, "..") && !strings.Contains(m.point, "..") {
				t.Errorf("own folder %q escapes the mount %q", own, m.point)
			}
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a) R 1 (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _, _ = parseStat(text) })
}

func FuzzParseShim(f *testing.F) {
	f.Add("-parent=1 -group=/sys/fs/cgroup/cpu/x -- /bin/true a b")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseShim(strings.Fields(line))
		if err != nil {
			return
		}
		if c.parent <= 0 || len(c.argv) == 0 {
			t.Errorf("%q was accepted as %+v", line, c)
		}
		// What was accepted survives a round through shimArgs.
		again, err := parseShim(shimArgs(c.parent, c.groups, c.argv[0], c.argv[1:])[1:])
		if err != nil || again.parent != c.parent || !slices.Equal(again.groups, c.groups) || !slices.Equal(again.argv, c.argv) {
			t.Errorf("%+v came back as %+v, %v", c, again, err)
		}
	})
}

func FuzzParseOwnerID(f *testing.F) {
	f.Add("sailplan-12-345-abcdef")
	f.Fuzz(func(t *testing.T, name string) {
		if id, ok := parseOwnerID(name); ok && id.PID <= 0 {
			t.Errorf("%q names pid %d", name, id.PID)
		}
	})
}
