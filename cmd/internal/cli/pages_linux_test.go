package cli

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestProgramRanges(t *testing.T) {
	const maps = `00400000-01a00000 r-xp 00000000 fe:00 1234                               /opt/a program
01a00000-02b00000 r--p 01600000 fe:00 1234                               /opt/a program
02b00000-02c00000 rw-p 02700000 fe:00 1234                               /opt/a program
02c00000-02d00000 r--p 00000000 fe:00 1235                               /opt/a
c000000000-c000400000 rw-p 00000000 00:00 0
nonsense r--p 00000000 fe:00 1234                                        /opt/a program
7ffd1000-7ffd2000 r-xp 00000000 00:00 0                                  [vdso]
`
	want := []addressRange{{0x400000, 0x1a00000}, {0x1a00000, 0x2b00000}}
	if got := programRanges(maps, "/opt/a program"); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// The program goes on when its pages are gone, and holds fewer of them.
func TestReleaseProgram(t *testing.T) {
	touchProgram(t)
	before := residentFile(t)
	releaseProgram()
	if after := residentFile(t); after > before/2 {
		t.Errorf("%d KiB of files are resident, before it were %d", after, before)
	}
}

// touchProgram reads all of the program's pages where they are mapped.
func touchProgram(t *testing.T) {
	t.Helper()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	for _, r := range programRanges(string(maps), program) {
		if _, err := memory.ReadAt(make([]byte, r.to-r.from), int64(r.from)); err != nil {
			t.Fatal(err)
		}
	}
}

// residentFile returns how much of files is resident, in KiB.
func residentFile(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Skip("the kernel does not tell how much of files is resident")
	return 0
}
