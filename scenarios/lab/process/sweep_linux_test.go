package process

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSweepDamagedRecord cuts the record of an owner that is gone after each of
// its bytes: it is swept all the same, with what the rest of the record names.
func TestSweepDamagedRecord(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	const id = ownerPrefix + "4194305-1-abcdef"
	whole, err := json.Marshal(record{
		identity: identity{PID: 4194305, StartTicks: 1}, BootID: boot,
		Groups:   []string{"/no/such/cgroup"},
		Children: []identity{{PID: 4194306, StartTicks: 1}, {PID: 4194307, StartTicks: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for length := range len(whole) + 1 {
		stateDir := t.TempDir()
		folder := leaveOwner(t, stateDir, id, whole[:length])
		want := Swept{Owners: 1, Damaged: 1}
		if length == len(whole) {
			want.Damaged = 0
		}
		if swept, err := Sweep(t.Context(), stateDir); err != nil || swept != want {
			t.Fatalf("record %q: sweep = %+v, %v, want %+v", whole[:length], swept, err, want)
		}
		checkGone(t, nil, folder)
	}
}

// leaveOwner makes the folder of an owner with a file of its own and a record.
func leaveOwner(t *testing.T, stateDir, id string, text []byte) (folder string) {
	t.Helper()
	folder = filepath.Join(stateDir, id)
	if err := os.MkdirAll(filepath.Join(folder, filesDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{recordFile: text, filesDir + "/key.pem": []byte("x")} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// TestSweepDamagedRecordKills: a child that stands whole in a damaged record is
// still the owner's.
func TestSweepDamagedRecordKills(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	o := newTestOwner(t)
	p := startHelper(t, o, Limits{}, "wait")
	child, ok := identify(p.PID())
	if !ok {
		t.Fatal("the child does not run")
	}
	text, err := json.Marshal(record{
		identity: identity{PID: 4194305, StartTicks: 1}, BootID: boot,
		Children: []identity{child, {PID: 4194307, StartTicks: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	stateDir := t.TempDir()
	leaveOwner(t, stateDir, ownerPrefix+"4194305-1-abcdef", text[:len(text)-4])
	want := Swept{Owners: 1, Processes: 1, Damaged: 1}
	if swept, err := Sweep(t.Context(), stateDir); err != nil || swept != want {
		t.Fatalf("sweep = %+v, %v, want %+v", swept, err, want)
	}
	<-p.Exited()
}

// TestSweepDamagedRecordOfTheLiving: who lives is told by the folder's name and by
// its lock, whatever the record looks like.
func TestSweepDamagedRecordOfTheLiving(t *testing.T) {
	stateDir := t.TempDir()
	o, err := NewOwner(Config{StateDir: stateDir, Self: selfCommand()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.folder, recordFile), []byte(`{"pid":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if swept, err := Sweep(t.Context(), stateDir); err != nil || swept != (Swept{}) {
		t.Errorf("sweep = %+v, %v, want nothing", swept, err)
	}
	if err := o.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSweepDamagedRecordGroups: cgroups that a damaged record does not name are
// found by the owner's name.
func TestSweepDamagedRecordGroups(t *testing.T) {
	h, err := findHierarchy()
	if err != nil {
		missing(t, "cgroup", err.Error())
	}
	const id = ownerPrefix + "4194305-1-abcdef"
	group := filepath.Join(h.cpu, id+"-gateway-0")
	if err := os.Mkdir(group, 0o755); err != nil {
		missing(t, "cgroup", err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Rmdir(group); err != nil && !errors.Is(err, unix.ENOENT) {
			t.Error(err)
		}
	})
	stateDir := t.TempDir()
	folder := leaveOwner(t, stateDir, id, []byte(`{"pid":4194305,"startTicks":1,"boo`))
	if swept, err := Sweep(t.Context(), stateDir); err != nil || swept.Damaged != 1 {
		t.Errorf("sweep = %+v, %v, want one damaged record", swept, err)
	}
	checkGone(t, []string{group}, folder)
}

func TestSalvage(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       record
		damaged    bool
	}{
		{"whole", `{"pid":1,"startTicks":2,"bootId":"b","groups":["g"],"children":[{"pid":3,"startTicks":4}]}`,
			record{identity{1, 2}, "b", []string{"g"}, []identity{{3, 4}}}, false},
		{"empty", ``, record{}, true},
		{"zeros", "\x00\x00\x00", record{}, true},
		{"another type", `[1]`, record{}, true},
		{"cut in a group", `{"pid":1,"startTicks":2,"bootId":"b","groups":["g","h`, record{identity{1, 2}, "b", []string{"g"}, nil}, true},
		{"cut in a child", `{"pid":1,"groups":null,"children":[{"pid":3,"startTicks":4},{"pid":5,"sta`, record{identity: identity{PID: 1}, Children: []identity{{3, 4}}}, true},
		{"children after another's field", `{"x":{"y":[1]},"children":[{"pid":3,"startTicks":4},{"pid":5`,
			record{Children: []identity{{3, 4}}}, true},
		{"groups are no list", `{"pid":1,"groups":7,"children":[`, record{identity: identity{PID: 1}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, damaged := salvage([]byte(tt.text))
			if !reflect.DeepEqual(got, tt.want) || damaged != tt.damaged {
				t.Errorf("= %+v, %t, want %+v, %t", got, damaged, tt.want, tt.damaged)
			}
		})
	}
}

func FuzzSalvage(f *testing.F) {
	f.Add([]byte(`{"pid":1,"startTicks":2,"bootId":"b","groups":["g"],"children":[{"pid":3,"startTicks":4}]}`))
	f.Add([]byte(`{"pid":1,"groups":["g`))
	f.Fuzz(func(_ *testing.T, text []byte) { salvage(text) })
}
