package sampler

import (
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// hostSource reads what the machine's other users leave of it.
type hostSource struct {
	files *fileReader
}

func (h *hostSource) read() reading {
	r := reading{at: time.Now(), metrics: make(map[record.Metric]float64, 4)}
	if text, err := h.files.read("/proc/stat"); err == nil {
		if cpu, err := parseHostCPU(text); err == nil {
			r.metrics[record.IdleSeconds] = cpu.idle.Seconds()
			if cpu.hasSteal {
				r.metrics[record.StealSeconds] = cpu.steal.Seconds()
			}
		}
	}
	if text, err := h.files.read("/proc/pressure/cpu"); err == nil {
		if waited, err := parsePressure(text); err == nil {
			r.metrics[record.CPUPressure] = waited.Seconds()
		}
	}
	if text, err := h.files.read("/proc/meminfo"); err == nil {
		if kibibytes, ok := field(text, "MemAvailable"); ok {
			r.metrics[record.AvailableMemory] = float64(kibibytes) * 1024
		}
	}
	return r
}
