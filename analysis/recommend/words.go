package recommend

import (
	"fmt"
	"math"
	"strconv"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/scenarios"
)

func rate(rps float64) string { return quantity.Rate(rps) }

func timeWords(seconds float64) string { return quantity.Duration(seconds) }

func percent(ratio float64) string { return quantity.Percent(ratio) }

func cpuWords(cores float64) string {
	switch {
	case cores < 1:
		return fmt.Sprintf("%.0fm", cores*1000)
	case cores == 1:
		return "1 core"
	}
	return fmt.Sprintf("%.3g cores", cores)
}

func threads(n int) string {
	if n == 1 {
		return "one worker thread"
	}
	return fmt.Sprintf("%d worker threads", n)
}

func bytesWords(b float64) string { return quantity.Bytes(b) }

// cpuQuantity rounds cores up to hundredths and writes a Kubernetes quantity.
func cpuQuantity(cores float64) string {
	milli := int64(math.Ceil(cores*100-1e-9)) * 10
	if milli%1000 == 0 {
		return strconv.FormatInt(milli/1000, 10)
	}
	return strconv.FormatInt(milli, 10) + "m"
}

// memoryQuantity rounds bytes up to 16 MiB, 64 MiB at least, and writes a
// Kubernetes quantity. A short run sees less memory than a long life needs.
func memoryQuantity(b float64) string {
	mebi := int64(memoryMebi(b))
	if mebi%1024 == 0 {
		return strconv.FormatInt(mebi/1024, 10) + "Gi"
	}
	return strconv.FormatInt(mebi, 10) + "Mi"
}

// memoryText writes a whole number of MiB as a Kubernetes quantity, and anything
// else by the byte.
func memoryText(b float64) string { return scenarios.Bytes(int64(b)).String() }

// coresOf reads a quantity that cpuQuantity wrote; 0 for none.
func coresOf(text string) float64 {
	cpu, err := scenarios.ParseCPU(text)
	if err != nil {
		return 0
	}
	return cpu.Cores()
}

// bytesOf reads a quantity that memoryQuantity wrote; 0 for none.
func bytesOf(text string) float64 {
	b, err := scenarios.ParseBytes(text)
	if err != nil {
		return 0
	}
	return float64(b)
}

// memoryMebi rounds bytes up as memoryQuantity does, in MiB.
func memoryMebi(b float64) float64 { return math.Max(math.Ceil(b/(16<<20))*16, 64) }

// niceUp rounds up to two significant digits, 10 at least, 2·10⁹ at most (the
// fields are 32 bits wide).
func niceUp(v float64) int {
	v = math.Min(v, 2e9)
	if !(v > 10) {
		return 10
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return int(math.Ceil(v/unit-1e-9) * unit)
}

// withInFlight says at how many requests in flight something was; empty when it
// is not known.
func withInFlight(n float64) string {
	if !(n > 0) {
		return ""
	}
	return fmt.Sprintf(" with %.0f requests in flight", math.Ceil(n))
}
