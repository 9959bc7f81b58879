package record

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFullTmpfs does it with a file system that is really full.
func TestFullTmpfs(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=64k"); err != nil {
		if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), "cgroup") {
			t.Fatalf("mounting a small file system: %v", err)
		}
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	defer func() {
		if err := unix.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	}()
	w, err := Create(filepath.Join(mount, "run"), exampleHeader(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.BeginPhase(exampleSpec("long", 3000))
	if err != nil {
		t.Fatal(err)
	}
	failed := false
	for n := 0; n < 2000 && !failed; n++ {
		p.Interval(exampleInterval(0, n))
		w.flush()
		select {
		case <-w.Failed():
			failed = true
		default:
		}
	}
	if !failed {
		t.Fatal("the disk did not become full")
	}
	if err := w.Close(EndedFailed, "disk full"); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Close: %v", err)
	}
	got, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != 1 || !got.Data[0].Unfinished || len(got.Data[0].Timeline) < 10 {
		t.Fatalf("phases = %+v", got.Data)
	}
	if problem := inconsistency(got); problem != "" {
		t.Error(problem)
	}
}
