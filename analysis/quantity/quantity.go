package quantity

import (
	"math"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Unit is how a plain number of an estimate is to be written.
type Unit int

// The units.
const (
	PerSecond Unit = iota // a rate
	Seconds               // a duration
	ByteCount             // a size
	CoreCount             // processors
	Share                 // a ratio, written in percent
	Plain                 // a number without a unit
	Fine                  // a number without a unit, with four digits or more
)

// NoBreak stands between the groups of a number and before its unit, so that a
// line is not broken there.
const NoBreak = "\u00a0"

// Absent is written where a source did not have a value.
const Absent = "–"

// Rate writes a rate in arrivals per second: "1 240/s", "12.5/s".
func Rate(rps float64) string { return write(rps, PerSecond) }

// Duration writes a duration in seconds: "8.4 ms", "120 µs", "2 min 5 s".
func Duration(seconds float64) string { return write(seconds, Seconds) }

// Bytes writes a size in bytes: "48.3 MiB".
func Bytes(bytes float64) string { return write(bytes, ByteCount) }

// Cores writes a number of processors: "0.237 cores".
func Cores(cores float64) string { return write(cores, CoreCount) }

// BareCores is Cores without the unit, for a column that names it.
func BareCores(cores float64) string {
	if math.IsNaN(cores) || math.IsInf(cores, 0) {
		return write(cores, CoreCount)
	}
	return scaleOf(cores, CoreCount).number(cores)
}

// Percent writes a ratio in percent: 0.123 is "12.3 %".
func Percent(ratio float64) string { return write(ratio, Share) }

// SignedPercent is Percent with the sign always there: "+3.1 %".
func SignedPercent(ratio float64) string {
	if ratio > 0 {
		return "+" + Percent(ratio)
	}
	return Percent(ratio)
}

// Number writes a number without a unit: "1.02".
func Number(v float64) string { return write(v, Plain) }

// FineNumber writes a number without a unit and with four digits: "0.02045".
func FineNumber(v float64) string { return write(v, Fine) }

// Count writes a whole number with its digits in groups: "12 000".
func Count(n int64) string { return group(strconv.FormatInt(n, 10)) }

// Estimate writes an estimate with its interval: "1 240/s (1 180 – 1 300)". A
// bound that is not known turns it into "(at least 1 180)"; what could not be
// estimated is "not estimable: " and why.
func Estimate(e stat.Estimate, unit Unit) string {
	if !e.OK() {
		if len(e.Warnings) == 0 {
			return "not estimable"
		}
		return "not estimable: " + e.Warnings[0]
	}
	s := scaleOf(e.Value, unit)
	if unit == Fine && e.Value == 0 && !math.IsInf(e.High, 0) {
		s = scaleOf(e.High, unit) // 0 has no digits to go by
	}
	text := s.write(e.Value)
	low, high := !math.IsInf(e.Low, 0) && !math.IsNaN(e.Low), !math.IsInf(e.High, 0) && !math.IsNaN(e.High)
	switch {
	case e.Confidence <= 0:
	case low && high:
		text += " (" + s.number(e.Low) + NoBreak + "–" + NoBreak + s.number(e.High) + ")"
	case low:
		text += " (at least " + s.number(e.Low) + ")"
	case high:
		text += " (at most " + s.number(e.High) + ")"
	}
	return text
}

// ShortEstimate is Estimate without the reason, for a narrow cell.
func ShortEstimate(e stat.Estimate, unit Unit) string {
	if !e.OK() {
		return Absent
	}
	return Estimate(e, unit)
}

// Value writes an estimate without its interval; Absent where there is none.
func Value(e stat.Estimate, unit Unit) string {
	if !e.OK() {
		return Absent
	}
	return write(e.Value, unit)
}

func write(v float64, unit Unit) string {
	switch {
	case math.IsNaN(v):
		return Absent
	case math.IsInf(v, 0):
		return "unlimited"
	}
	return scaleOf(v, unit).write(v)
}

// scale is how numbers of about one size are written.
type scale struct {
	divisor  float64
	suffix   string
	decimals int
	minutes  bool // above two minutes: in minutes and seconds
}

// scaleOf returns the scale in which v has about three digits. The numbers of an
// interval share the scale of its value.
func scaleOf(v float64, unit Unit) scale {
	size := math.Abs(v)
	switch unit {
	case PerSecond:
		return scale{1, "/s", decimalsFor(size), false}
	case Seconds:
		switch {
		case size == 0:
			return scale{1e-3, NoBreak + "ms", 0, false}
		case size < 0.9995e-6:
			return scale{1e-9, NoBreak + "ns", decimalsFor(size / 1e-9), false}
		case size < 0.9995e-3:
			return scale{1e-6, NoBreak + "µs", decimalsFor(size / 1e-6), false}
		case size < 0.9995:
			return scale{1e-3, NoBreak + "ms", decimalsFor(size / 1e-3), false}
		case size < 119.5:
			return scale{1, NoBreak + "s", decimalsFor(size), false}
		}
		return scale{1, NoBreak + "s", 0, true}
	case ByteCount:
		names := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
		divisor, i := 1.0, 0
		for i < len(names)-1 && size/divisor >= 1023.5 {
			divisor, i = divisor*1024, i+1
		}
		decimals := 0
		if i > 0 {
			decimals = decimalsFor(size / divisor)
		}
		return scale{divisor, NoBreak + names[i], decimals, false}
	case CoreCount:
		return scale{1, NoBreak + "cores", coreDecimals(size), false}
	case Share:
		return scale{0.01, NoBreak + "%", shareDecimals(size * 100), false}
	case Fine:
		return scale{1, "", fineDecimals(size), false}
	case Plain:
	}
	return scale{1, "", decimalsFor(size), false}
}

// decimalsFor returns how many decimals give a number of this size three
// digits, two when it is small.
func decimalsFor(size float64) int {
	switch {
	case size == 0 || size >= 99.95:
		return 0
	case size >= 9.995:
		return 1
	}
	return max(2, smallDecimals(size))
}

// fineDecimals returns how many decimals give a number of this size four digits,
// but not more than twelve.
func fineDecimals(size float64) int {
	if size == 0 || math.IsInf(size, 0) {
		return 0
	}
	return min(12, max(0, 3-int(math.Floor(math.Log10(size)))))
}

// coreDecimals counts in thousandths, as Kubernetes does.
func coreDecimals(size float64) int {
	if size >= 9.995 {
		return 1
	}
	return max(3, smallDecimals(size))
}

func shareDecimals(percent float64) int {
	switch {
	case percent == 0 || percent >= 99.95:
		return 0
	case percent >= 0.95:
		return 1
	}
	return max(2, smallDecimals(percent))
}

// smallDecimals returns how many decimals show two digits of a number below 1,
// but not more than nine: what is that small is 0 to a reader.
func smallDecimals(size float64) int {
	if size <= 0 || size >= 1 {
		return 0
	}
	return min(9, int(math.Ceil(-math.Log10(size)))+1)
}

func (s scale) write(v float64) string {
	if s.minutes {
		return minutes(v)
	}
	return s.number(v) + s.suffix
}

func (s scale) number(v float64) string {
	if s.minutes {
		return minutes(v)
	}
	text := strconv.FormatFloat(v/s.divisor, 'f', s.decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		text = "0"
	}
	return group(text)
}

// minutes writes a duration of two minutes or more: "2 min 5 s", "1 h 5 min".
func minutes(seconds float64) string {
	total := int64(math.Round(seconds))
	sign := ""
	if total < 0 {
		sign, total = "−", -total
	}
	h, m, s := total/3600, total/60%60, total%60
	var parts []string
	if h > 0 {
		parts = append(parts, strconv.FormatInt(h, 10)+NoBreak+"h")
	}
	if m > 0 {
		parts = append(parts, strconv.FormatInt(m, 10)+NoBreak+"min")
	}
	if (s > 0 && h == 0) || len(parts) == 0 {
		parts = append(parts, strconv.FormatInt(s, 10)+NoBreak+"s")
	}
	return sign + strings.Join(parts, NoBreak)
}

// group puts a space between groups of three digits before the point, from four
// digits on, and a real minus in front.
func group(number string) string {
	sign := ""
	if strings.HasPrefix(number, "-") {
		sign, number = "−", number[1:]
	}
	whole, fraction, hasFraction := strings.Cut(number, ".")
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(NoBreak)
		}
		b.WriteRune(digit)
	}
	if hasFraction {
		b.WriteString("." + fraction)
	}
	return sign + b.String()
}
