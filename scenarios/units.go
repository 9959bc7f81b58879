package scenarios

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Rate is a number of arrivals per stretch of time, kept as a fraction so that
// the instant of the i-th arrival can be computed exactly. The zero Rate means
// "not set".
type Rate struct {
	Count int64         // arrivals, ≥ 0
	Per   time.Duration // in this time, > 0 when Count > 0
}

// PerSecond returns the rate that is closest to rps arrivals a second, exact to
// a thousandth of an arrival per second.
func PerSecond(rps float64) Rate {
	milli := int64(math.Round(rps * 1000))
	if milli <= 0 {
		return Rate{}
	}
	if milli%1000 == 0 {
		return Rate{Count: milli / 1000, Per: time.Second}
	}
	return Rate{Count: milli, Per: 1000 * time.Second}
}

// RPS returns the rate in arrivals per second; 0 when it is not set.
func (r Rate) RPS() float64 {
	if r.Count == 0 || r.Per <= 0 {
		return 0
	}
	return float64(r.Count) / r.Per.Seconds()
}

// IsZero reports whether the rate is not set.
func (r Rate) IsZero() bool { return r.Count == 0 }

// String prints the rate as it is written in a scenario: "5000/s", "2.5/s",
// "90/m", "10/h", "3/7s". ParseRate reads it back without loss.
func (r Rate) String() string {
	if r.Count == 0 || r.Per <= 0 {
		return "0/s"
	}
	for _, unit := range rateUnits() {
		if r.Per == unit.per {
			return fmt.Sprintf("%d/%s", r.Count, unit.name)
		}
		if r.Per == 1000*unit.per {
			return decimalThousandths(r.Count) + "/" + unit.name
		}
	}
	return fmt.Sprintf("%d/%s", r.Count, r.Per)
}

type rateUnit struct {
	name string
	per  time.Duration
}

func rateUnits() []rateUnit {
	return []rateUnit{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}}
}

// decimalThousandths prints n/1000 exactly, without trailing zeros.
func decimalThousandths(n int64) string {
	whole, rest := n/1000, n%1000
	if rest == 0 {
		return strconv.FormatInt(whole, 10)
	}
	return strings.TrimRight(fmt.Sprintf("%d.%03d", whole, rest), "0")
}

// maxRateCount bounds the number in front of a rate's unit. It leaves room for
// the multiplication with a thousand that keeps three decimals.
const maxRateCount = 1e9

// The spellings of the units, shared by the parsers and the JSON Schema.
const (
	ratePattern     = `^[0-9]+(\.[0-9]{1,3})?[kM]?/(s|m|min|h|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`
	bytesPattern    = `^[0-9]{1,18}(\.[0-9]{1,9})?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$`
	cpuPattern      = `^([0-9]{1,9}m|[0-9]{1,6}(\.[0-9]{1,3})?)$`
	ratioPattern    = `^[0-9]{1,9}(\.[0-9]{1,30})?(e-[0-9]{1,3})? ?%?$`
	durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
)

// ParseRate reads "5000/s", "2.5k/s", "90/m", "10/h" or "3/7s", with at most three
// decimals.
func ParseRate(s string) (Rate, error) {
	number, unit, found := strings.Cut(s, "/")
	if !found {
		return Rate{}, fmt.Errorf("rate %q has no unit: write for instance 5000/s, 90/m or 10/h", s)
	}
	per, err := parseRateUnit(unit)
	if err != nil {
		return Rate{}, fmt.Errorf("rate %q: %w", s, err)
	}
	factor := 1.0
	switch {
	case strings.HasSuffix(number, "k"):
		factor, number = 1e3, strings.TrimSuffix(number, "k")
	case strings.HasSuffix(number, "M"):
		factor, number = 1e6, strings.TrimSuffix(number, "M")
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || !isPlainDecimal(strings.TrimPrefix(number, "-")) {
		return Rate{}, fmt.Errorf("rate %q: %q is not a number", s, number)
	}
	value *= factor
	if value < 0 || value > maxRateCount {
		return Rate{}, fmt.Errorf("rate %q is outside 0 to 1e9 per %s", s, unit)
	}
	if !rateExpression.MatchString(s) {
		return Rate{}, fmt.Errorf("rate %q: write a number with at most three decimals, k or M behind it, and the unit, without spaces", s)
	}
	if value == 0 {
		return Rate{}, nil
	}
	if value == math.Trunc(value) {
		return Rate{Count: int64(value), Per: per}, nil
	}
	if per > math.MaxInt64/1000 {
		return Rate{}, fmt.Errorf("rate %q: a fraction needs a shorter time than %s", s, per)
	}
	milli := int64(math.Round(value * 1000))
	return Rate{Count: milli, Per: 1000 * per}, nil
}

func parseRateUnit(unit string) (time.Duration, error) {
	switch unit {
	case "s":
		return time.Second, nil
	case "m", "min":
		return time.Minute, nil
	case "h":
		return time.Hour, nil
	}
	if unit != "" && unit[0] >= '0' && unit[0] <= '9' {
		if per, err := time.ParseDuration(unit); err == nil && per > 0 {
			return per, nil
		}
	}
	return 0, fmt.Errorf("unknown unit %q: use /s, /m or /h", unit)
}

// isPlainDecimal accepts digits with at most one point among them: no sign, no
// exponent, no hexadecimal, none of Go's other spellings.
func isPlainDecimal(s string) bool {
	digits, points := 0, 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			points++
		default:
			return false
		}
	}
	return digits > 0 && points <= 1
}

// MarshalText prints the rate as String does.
func (r Rate) MarshalText() ([]byte, error) {
	if r.Count < 0 || (r.Count > 0 && r.Per <= 0) {
		return nil, fmt.Errorf("rate of %d per %s cannot be written", r.Count, r.Per)
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads what ParseRate reads.
func (r *Rate) UnmarshalText(text []byte) error {
	parsed, err := ParseRate(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// Bytes is a size in bytes, written as a Kubernetes quantity: "512Mi", "1Gi", "1024".
type Bytes int64

// maxBytes is the largest size that ParseBytes reads without a unit.
const maxBytes Bytes = 999_999_999_999_999_999

// ParseBytes reads a Kubernetes quantity as a whole number of bytes, ≥ 0.
func ParseBytes(s string) (Bytes, error) {
	if !bytesExpression.MatchString(s) {
		return 0, fmt.Errorf("size %q is not a Kubernetes quantity: write for instance 512Mi, 1Gi or 1024", s)
	}
	quantity, err := resource.ParseQuantity(s)
	if err != nil {
		return 0, fmt.Errorf("size %q: %w", s, err)
	}
	value := quantity.Value()
	// Beyond its range a Quantity saturates.
	if quantity.Cmp(*resource.NewQuantity(value, resource.BinarySI)) != 0 || Bytes(value) > maxBytes {
		return 0, fmt.Errorf("size %q is not a whole number of bytes below 1000P", s)
	}
	return Bytes(value), nil
}

// String prints the size as a Kubernetes quantity that ParseBytes reads back
// without loss.
func (b Bytes) String() string {
	for _, unit := range []struct {
		name string
		size Bytes
	}{{"Pi", 1 << 50}, {"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}} {
		if b >= unit.size && b%unit.size == 0 {
			return strconv.FormatInt(int64(b/unit.size), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText prints the size as String does.
func (b Bytes) MarshalText() ([]byte, error) {
	if b < 0 || b > maxBytes {
		return nil, fmt.Errorf("size of %d bytes is outside 0 to 1000P", int64(b))
	}
	return []byte(b.String()), nil
}

// UnmarshalText reads what ParseBytes reads.
func (b *Bytes) UnmarshalText(text []byte) error {
	parsed, err := ParseBytes(string(text))
	if err != nil {
		return err
	}
	*b = parsed
	return nil
}

// CPU is processor time per time in thousandths of a core, written as a
// Kubernetes quantity: "300m", "1", "0.5". Zero means "no limit" or "not set".
type CPU int64

// Cores returns the value in cores.
func (c CPU) Cores() float64 { return float64(c) / 1000 }

// ParseCPU reads a Kubernetes quantity as thousandths of a core, ≥ 0. A finer
// value is refused, not rounded.
func ParseCPU(s string) (CPU, error) {
	if !cpuExpression.MatchString(s) {
		return 0, fmt.Errorf("cpu %q is not a Kubernetes quantity in cores: write for instance 300m, 0.5 or 2", s)
	}
	quantity, err := resource.ParseQuantity(s)
	if err != nil {
		return 0, fmt.Errorf("cpu %q: %w", s, err)
	}
	return CPU(quantity.MilliValue()), nil
}

// String prints the value as a Kubernetes quantity that ParseCPU reads back
// without loss.
func (c CPU) String() string {
	if c%1000 == 0 {
		return strconv.FormatInt(int64(c/1000), 10)
	}
	return strconv.FormatInt(int64(c), 10) + "m"
}

// MarshalText prints the value as String does.
func (c CPU) MarshalText() ([]byte, error) {
	if c < 0 || c > maxCPU {
		return nil, fmt.Errorf("cpu of %dm is outside 0 to %s cores", int64(c), CPU(maxCPU))
	}
	return []byte(c.String()), nil
}

// maxCPU is the largest value that ParseCPU reads with m behind it.
const maxCPU CPU = 999_999_000

// UnmarshalText reads what ParseCPU reads.
func (c *CPU) UnmarshalText(text []byte) error {
	parsed, err := ParseCPU(string(text))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// Ratio is a share of one, written as "20%" or 0.2.
type Ratio float64

// ParseRatio reads "20%" or "0.2"; ≥ 0, and finite.
func ParseRatio(s string) (Ratio, error) {
	if !ratioExpression.MatchString(s) {
		return 0, fmt.Errorf("ratio %q is not a share: write for instance 20%% or 0.2", s)
	}
	number, isPercent := strings.CutSuffix(s, "%")
	number = strings.TrimSpace(number)
	if isPercent {
		// The shift is made in decimal, so that 0.1% is the float nearest to 0.001.
		mantissa, exponent, _ := strings.Cut(number, "e")
		power, _ := strconv.Atoi(exponent) // matched by the pattern; empty means 0
		number = mantissa + "e" + strconv.Itoa(power-2)
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("ratio %q: %w", s, err)
	}
	return Ratio(value), nil
}

// String prints the ratio in percent, without loss.
func (r Ratio) String() string {
	if r == 0 {
		return "0%"
	}
	mantissa, exponent, found := strings.Cut(strconv.FormatFloat(float64(r), 'e', -1, 64), "e")
	if !found {
		return mantissa // not a number, or infinite
	}
	power, err := strconv.Atoi(exponent)
	if err != nil || power < -12 || power > 6 {
		return strconv.FormatFloat(float64(r), 'g', -1, 64)
	}
	return shiftPoint(mantissa, power+2) + "%"
}

// shiftPoint prints mantissa × 10^power, where mantissa has one digit before the
// point, without an exponent and without going through a float.
func shiftPoint(mantissa string, power int) string {
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	digits := strings.Replace(mantissa, ".", "", 1)
	point := 1 + power
	switch {
	case point <= 0:
		return sign + "0." + strings.Repeat("0", -point) + digits
	case point >= len(digits):
		return sign + digits + strings.Repeat("0", point-len(digits))
	}
	return sign + digits[:point] + "." + digits[point:]
}

// MarshalText prints the ratio as String does.
func (r Ratio) MarshalText() ([]byte, error) {
	if math.IsNaN(float64(r)) || r < 0 || r >= 1e7 {
		return nil, fmt.Errorf("ratio %v is not a share that can be written", float64(r))
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads what ParseRatio reads.
func (r *Ratio) UnmarshalText(text []byte) error {
	parsed, err := ParseRatio(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}
