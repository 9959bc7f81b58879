package cli

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram gives back the pages of the program's file that the process holds. What
// a start needs once is spread over all of the file, since each package that was linked in
// registers its types, so that most of it stays resident; what is needed from
// now on comes back from the page cache when it is touched. Where the kernel doesn't
// tell or doesn't want to, the pages stay.
func releaseProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for _, r := range programRanges(string(maps), program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, r.from, r.to-r.from, unix.MADV_DONTNEED)
	}
}

// addressRange is a part of the address space, up to but without to.
type addressRange struct{ from, to uintptr }

// programRanges returns where the listing of maps, as of proc(5), has a program's file
// mapped so that nothing was ever written there.
func programRanges(maps, program string) []addressRange {
	var ranges []addressRange
	for line := range strings.Lines(maps) {
		fields := strings.Fields(line)
		if len(fields) < 6 || strings.Join(fields[5:], " ") != program || strings.Contains(fields[1], "w") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		first, err := strconv.ParseUint(from, 16, 64)
		if err != nil {
			continue
		}
		last, err := strconv.ParseUint(to, 16, 64)
		if err != nil || last <= first {
			continue
		}
		ranges = append(ranges, addressRange{uintptr(first), uintptr(last)})
	}
	return ranges
}
