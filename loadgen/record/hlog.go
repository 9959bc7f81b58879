package record

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// quantity is which of a request's times a histogram holds.
type quantity int

const (
	quantityLatency quantity = iota
	quantityService
	quantitySendLag
	quantities // how many there are
)

func (q quantity) String() string {
	switch q {
	case quantityLatency:
		return "latency"
	case quantityService:
		return "service"
	default:
		return "send-lag"
	}
}

func parseQuantity(s string) (quantity, bool) {
	for q := range quantities {
		if s == q.String() {
			return q, true
		}
	}
	return 0, false
}

// tag says whose values a line of latency.hlog holds: "003/browse/latency".
type tag struct {
	phase    int
	request  string
	quantity quantity
}

// String escapes the request's name as a path segment of a URL, so that it
// holds no slash, comma, space or line break.
func (t tag) String() string {
	return fmt.Sprintf("%03d/%s/%s", t.phase, url.PathEscape(t.request), t.quantity)
}

func parseTag(s string) (tag, error) {
	phase, rest, found := strings.Cut(s, "/")
	name, what, foundToo := strings.Cut(rest, "/")
	if !found || !foundToo {
		return tag{}, fmt.Errorf("tag %q is not phase/request/metric", s)
	}
	index, err := strconv.Atoi(phase)
	if err != nil || index < 0 {
		return tag{}, fmt.Errorf("tag %q: %q is not the number of a phase", s, phase)
	}
	request, err := url.PathUnescape(name)
	if err != nil {
		return tag{}, fmt.Errorf("tag %q: %w", s, err)
	}
	metric, known := parseQuantity(what)
	if !known {
		return tag{}, fmt.Errorf("tag %q: unknown metric %q", s, what)
	}
	return tag{phase: index, request: request, quantity: metric}, nil
}

// hlogHeader is what latency.hlog begins with. StartTime and BaseTime are the
// anchor's wall-clock time, to which the instants of the lines are relative.
func hlogHeader(anchor time.Time) string {
	seconds := fmt.Sprintf("%d.%03d", anchor.Unix(), anchor.Nanosecond()/1e6)
	return "#[sailplan latency log: tags are phase/request/metric, values nanoseconds]\n" +
		"#[Histogram log format version 1.3]\n" +
		"#[BaseTime: " + seconds + " (seconds since epoch)]\n" +
		"#[StartTime: " + seconds + " (seconds since epoch), " + anchor.UTC().Format(time.RFC3339) + "]\n" +
		`"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"` + "\n"
}

// maxValues bounds the values of one line, so that sums over a file cannot overflow.
const maxValues = 1 << 48

// hlogLine is one interval of one tag.
type hlogLine struct {
	tag        tag
	start, end time.Duration
	values     sparse
}

// appendHlogLine adds one line: Tag=…,start,length,max,histogram. Start and
// length are seconds to the nanosecond, max is milliseconds.
func appendHlogLine(dst []byte, e *encoder, line hlogLine) ([]byte, error) {
	dst = append(dst, "Tag="...)
	dst = append(dst, line.tag.String()...)
	dst = append(dst, ',')
	dst = appendSeconds(dst, line.start)
	dst = append(dst, ',')
	dst = appendSeconds(dst, line.end-line.start)
	dst = append(dst, ',')
	dst = strconv.AppendFloat(dst, float64(line.values.max())/1e6, 'f', 3, 64)
	dst = append(dst, ',')
	dst, err := e.append(dst, line.values)
	return append(dst, '\n'), err
}

func appendSeconds(dst []byte, d time.Duration) []byte {
	if d < 0 {
		dst = append(dst, '-')
		d = -d
	}
	dst = strconv.AppendInt(dst, int64(d/time.Second), 10)
	dst = append(dst, '.')
	nanos := strconv.Itoa(int(d % time.Second))
	dst = append(dst, "000000000"[len(nanos):]...)
	return append(dst, nanos...)
}

// parseSeconds reads decimal seconds as exact nanoseconds.
func parseSeconds(s string) (time.Duration, error) {
	whole, fraction, found := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds > 1<<32 || seconds < -1<<32 {
		return 0, fmt.Errorf("%q is not a number of seconds", s)
	}
	if !found {
		return time.Duration(seconds) * time.Second, nil
	}
	if len(fraction) == 0 || len(fraction) > 9 {
		return 0, fmt.Errorf("%q is not a number of seconds to the nanosecond", s)
	}
	nanos, err := strconv.ParseUint(fraction+"000000000"[len(fraction):], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of seconds", s)
	}
	if strings.HasPrefix(whole, "-") {
		return time.Duration(seconds)*time.Second - time.Duration(nanos), nil
	}
	return time.Duration(seconds)*time.Second + time.Duration(nanos), nil
}

// parseHlogLine reads a line without its line break. Comments, the legend and
// empty lines are no intervals: ok is false without an error. The library's log
// reader is not used because it keeps instants in milliseconds only, carries a tag
// over to the next line, and cannot say which line is broken. The values are valid
// until the decoder is used again.
func parseHlogLine(d *decoder, text []byte) (line hlogLine, ok bool, err error) {
	if len(text) == 0 || text[0] == '#' || text[0] == '"' {
		return hlogLine{}, false, nil
	}
	fields := bytes.SplitN(text, []byte{','}, 5)
	name, tagged := strings.CutPrefix(string(fields[0]), "Tag=")
	if !tagged || len(fields) != 5 {
		return hlogLine{}, false, errors.New("not an interval: Tag=…,start,length,max,histogram expected")
	}
	if line.tag, err = parseTag(name); err != nil {
		return hlogLine{}, false, err
	}
	if line.start, err = parseSeconds(string(fields[1])); err != nil {
		return hlogLine{}, false, fmt.Errorf("start: %w", err)
	}
	length, err := parseSeconds(string(fields[2]))
	if err != nil || length < 0 {
		return hlogLine{}, false, fmt.Errorf("length: %q is not a length in seconds", fields[2])
	}
	line.end = line.start + length
	values, dropped, err := d.decode(fields[4])
	if err != nil {
		return hlogLine{}, false, fmt.Errorf("histogram: %w", err)
	}
	if dropped > 0 {
		return hlogLine{}, false, fmt.Errorf("histogram: %d values are beyond one hour", dropped)
	}
	if values.total() > maxValues {
		return hlogLine{}, false, fmt.Errorf("histogram: %d values are more than an interval can have", values.total())
	}
	line.values = values
	return line, true, nil
}
