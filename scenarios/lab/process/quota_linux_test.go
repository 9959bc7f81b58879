package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLimitCPU(t *testing.T) {
	for _, test := range []struct {
		name    string
		version int
		milli   int64
		want    map[string]string
	}{
		{"version 2", 2, 300, map[string]string{"cpu.max": "30000 100000"}},
		{"version 2, lifted", 2, 0, map[string]string{"cpu.max": "max 100000"}},
		{"version 1", 1, 1500, map[string]string{"cpu.cfs_quota_us": "150000", "cpu.cfs_period_us": "100000"}},
		{"version 1, lifted", 1, 0, map[string]string{"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			if err := (Cgroup{Version: test.version, CPU: folder}).LimitCPU(test.milli); err != nil {
				t.Fatal(err)
			}
			for file, want := range test.want {
				got, err := os.ReadFile(filepath.Join(folder, file))
				if err != nil || string(got) != want {
					t.Errorf("%s: %q, %v, want %q", file, got, err, want)
				}
			}
		})
	}
	if err := (Cgroup{Version: 2}).LimitCPU(100); err == nil || !strings.Contains(err.Error(), "no such controller") {
		t.Errorf("without a group: %v", err)
	}
}
