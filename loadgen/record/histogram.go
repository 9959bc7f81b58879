package record

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The geometry of NewHistogram, by the rules of HdrHistogram: values below
// unit·subBuckets lie in buckets one unit wide, and each further doubling of the
// value is divided into subBuckets/2 buckets.
const (
	lowestValue       = 1_000
	highestValue      = 3_600_000_000_000
	significantDigits = 3
	unitMagnitude     = 9  // 2⁹ ns is the largest power of two up to lowestValue
	halfMagnitude     = 10 // half of 2¹¹, the power of two above 2·10³ sub-buckets
)

// sparse is a histogram of NewHistogram's shape as its filled buckets only.
type sparse struct {
	index  []int32 // rising
	counts []int64 // > 0
}

// newSparse lists the filled buckets of a histogram. One of another shape is
// brought into ours first, but for one that only ends earlier: its buckets are
// ours. dropped is how many of its values did not fit.
func newSparse(h *hdrhistogram.Histogram) (s sparse, dropped int64) {
	if h == nil || h.TotalCount() == 0 {
		return sparse{}, 0
	}
	if h.LowestTrackableValue() != lowestValue || h.HighestTrackableValue() > highestValue ||
		h.SignificantFigures() != significantDigits {
		ours := NewHistogram()
		dropped = ours.Merge(h)
		h = ours
	}
	for i, count := range h.Export().Counts {
		if count > 0 {
			s.index = append(s.index, int32(i))
			s.counts = append(s.counts, count)
		}
	}
	return s, dropped
}

func (s sparse) total() int64 {
	var n int64
	for _, count := range s.counts {
		n += count
	}
	return n
}

// max returns the highest value in the histogram, 0 when it is empty.
func (s sparse) max() int64 {
	if len(s.index) == 0 {
		return 0
	}
	return highestInBucket(s.index[len(s.index)-1])
}

// addTo records the values into a histogram of NewHistogram's shape.
func (s sparse) addTo(h *hdrhistogram.Histogram) (dropped int64) {
	for i, index := range s.index {
		if err := h.RecordValues(highestInBucket(index), s.counts[i]); err != nil {
			dropped += s.counts[i]
		}
	}
	return dropped
}

// coarseMagnitude is the power of two of how many buckets a doubling of the value
// is divided into where a thousandth is not needed: 64, so that the widest is a
// sixty-fourth of its value.
const coarseMagnitude = 6

// coarse returns the histogram with its buckets put together to wider ones, in the
// memory of into. Each has the index of the last that went into it.
func (s sparse) coarse(into sparse) sparse {
	out := sparse{index: into.index[:0], counts: into.counts[:0]}
	for i, index := range s.index {
		digits := index
		if index >= 2<<halfMagnitude {
			digits = 1<<halfMagnitude | index&(1<<halfMagnitude-1)
		}
		if excess := bits.Len32(uint32(digits)) - coarseMagnitude - 1; excess > 0 {
			index |= 1<<excess - 1
		}
		if n := len(out.index); n > 0 && out.index[n-1] == index {
			out.counts[n-1] += s.counts[i]
		} else {
			out.index, out.counts = append(out.index, index), append(out.counts, s.counts[i])
		}
	}
	return out
}

// ofInterval returns what is kept of an interval's latencies, in a phase of that
// length: s itself, or coarse buckets in the memory of into. Beyond an hour they are
// coarse: a day has 3 600 intervals, and all of their buckets take more than a gigabyte.
func (s sparse) ofInterval(phase time.Duration, into sparse) sparse {
	if IntervalFor(phase) > time.Second {
		return s.coarse(into)
	}
	return s
}

// copied returns the same histogram in the memory of into.
func (s sparse) copied(into sparse) sparse {
	return sparse{index: append(into.index[:0], s.index...), counts: append(into.counts[:0], s.counts...)}
}

// plus returns the sum of two histograms, in memory of its own.
func (s sparse) plus(other sparse) sparse {
	n := 0 // exactly as many as there will be: sums are kept, thousands of them
	for i, j := 0, 0; i < len(s.index) || j < len(other.index); n++ {
		i, j = nextBucket(s.index, other.index, i, j)
	}
	sum := sparse{index: make([]int32, 0, n), counts: make([]int64, 0, n)}
	for i, j := 0, 0; i < len(s.index) || j < len(other.index); {
		nextI, nextJ := nextBucket(s.index, other.index, i, j)
		var index int32
		var count int64
		if nextI > i {
			index, count = s.index[i], s.counts[i]
		}
		if nextJ > j {
			index, count = other.index[j], count+other.counts[j]
		}
		sum.index, sum.counts = append(sum.index, index), append(sum.counts, count)
		i, j = nextI, nextJ
	}
	return sum
}

// nextBucket goes past the lower of a[i] and b[j], and past both where they are equal.
func nextBucket(a, b []int32, i, j int) (nextI, nextJ int) {
	switch {
	case j == len(b) || (i < len(a) && a[i] < b[j]):
		return i + 1, j
	case i == len(a) || b[j] < a[i]:
		return i, j + 1
	default:
		return i + 1, j + 1
	}
}

// values returns the highest value of each filled bucket.
func (s sparse) values() []int64 {
	values := make([]int64, len(s.index))
	for i, index := range s.index {
		values[i] = highestInBucket(index)
	}
	return values
}

// highestInBucket returns the highest value, in nanoseconds, that is counted at
// an index of the counts.
func highestInBucket(index int32) int64 {
	lowest, width := bucketBounds(index)
	return lowest + width - 1
}

func bucketBounds(index int32) (lowest, width int64) {
	if index < 2<<halfMagnitude {
		return int64(index) << unitMagnitude, 1 << unitMagnitude
	}
	magnitude := unitMagnitude + int64(index>>halfMagnitude) - 1
	within := int64(index&(1<<halfMagnitude-1)) + 1<<halfMagnitude
	return within << magnitude, 1 << magnitude
}

// Cookies of the V2 encoding, as Java, C and Go versions of HdrHistogram write them.
const (
	plainCookie      = 0x1c849303 | 0x10
	compressedCookie = 0x1c849304 | 0x10
)

// encoder writes histograms in the compressed V2 encoding of HdrHistogram. The
// library's own encoder opens a new compressor for each one, at the cost of 0.9 MB
// of garbage, which would be several MB a second inside the load generator.
type encoder struct {
	compressor *zlib.Writer
	plain      []byte
	compressed bytes.Buffer
}

// append adds the base64 form of the encoded histogram to dst.
func (e *encoder) append(dst []byte, s sparse) ([]byte, error) {
	e.plain = appendPlainV2(e.plain[:0], s)
	e.compressed.Reset()
	if e.compressor == nil {
		e.compressor = zlib.NewWriter(&e.compressed)
	} else {
		e.compressor.Reset(&e.compressed)
	}
	var header [8]byte
	e.compressed.Write(header[:])
	if _, err := e.compressor.Write(e.plain); err != nil {
		return dst, fmt.Errorf("compressing a histogram: %w", err)
	}
	if err := e.compressor.Close(); err != nil {
		return dst, fmt.Errorf("compressing a histogram: %w", err)
	}
	encoded := e.compressed.Bytes()
	binary.BigEndian.PutUint32(encoded[0:], compressedCookie)
	binary.BigEndian.PutUint32(encoded[4:], uint32(len(encoded)-8))
	return base64.StdEncoding.AppendEncode(dst, encoded), nil
}

// appendPlainV2 adds header and counts. The counts are zigzag varints in which a
// negative number is a run of that many empty buckets.
func appendPlainV2(dst []byte, s sparse) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, plainCookie)
	dst = binary.BigEndian.AppendUint32(dst, 0) // length of the counts, filled in below
	dst = binary.BigEndian.AppendUint32(dst, 0) // normalizing index offset
	dst = binary.BigEndian.AppendUint32(dst, significantDigits)
	dst = binary.BigEndian.AppendUint64(dst, lowestValue)
	dst = binary.BigEndian.AppendUint64(dst, highestValue)
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(1)) // integer to double ratio
	counts := len(dst)
	next := int32(0)
	for i, index := range s.index {
		switch gap := index - next; {
		case gap == 1:
			dst = binary.AppendVarint(dst, 0)
		case gap > 1:
			dst = binary.AppendVarint(dst, -int64(gap))
		}
		dst = binary.AppendVarint(dst, s.counts[i])
		next = index + 1
	}
	if len(s.index) == 0 {
		dst = binary.AppendVarint(dst, 0) // as the library does: bucket 0, empty
	}
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(dst)-counts))
	return dst
}
