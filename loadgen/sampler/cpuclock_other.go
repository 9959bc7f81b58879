//go:build !linux

package sampler

import (
	"errors"
	"time"
)

// cpuClock is not known elsewhere than on Linux.
func cpuClock(int) (time.Duration, error) {
	return 0, errors.New("no CPU clock of other processes on this system")
}
