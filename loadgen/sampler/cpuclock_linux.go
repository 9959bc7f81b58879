package sampler

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuClock returns the CPU time of a process, of all its threads and the ended
// ones. The number of a process's clock is made as clock_getcpuclockid(3) of the
// C library makes it: the complement of the process's number above three bits, of
// which the lower two name the scheduler's clock.
func cpuClock(pid int) (time.Duration, error) {
	const schedulerClock = 2
	var spec unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &spec); err != nil {
		return 0, err
	}
	return time.Duration(spec.Nano()), nil
}
