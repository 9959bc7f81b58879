package record

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	plainHeader = 40      // bytes before the counts of the plain V2 encoding
	maxPlain    = 1 << 20 // bytes of it: with every bucket filled it is a third of that
	allBuckets  = 24 << halfMagnitude
	// Beyond so many bytes a count is written otherwise than binary.Varint reads it.
	maxCountBytes = 8
)

// decoder reads histograms of the shape that this package writes. The library's
// own builds all buckets of each, empty ones too, which for the record of a day is
// most of the time that reading it takes.
type decoder struct {
	compressed []byte
	plain      []byte
	inflater   io.ReadCloser // also a zlib.Resetter
	source     bytes.Reader
	buckets    sparse
}

// decode reads what encoder.append wrote, or a histogram of another shape. What it
// returns is valid until the next call.
func (d *decoder) decode(text []byte) (s sparse, dropped int64, err error) {
	if s, ours := d.ours(text); ours {
		return s, 0, nil
	}
	// Of another shape, or damaged: the library knows, and has the words.
	histogram, err := hdrhistogram.Decode(text)
	if err != nil {
		return sparse{}, 0, err
	}
	s, dropped = newSparse(histogram)
	return s, dropped, nil
}

// ours reads a histogram of our shape; ok is false for whatever is not quite that.
func (d *decoder) ours(text []byte) (s sparse, ok bool) {
	var err error
	d.compressed, err = base64.StdEncoding.AppendDecode(d.compressed[:0], text)
	if err != nil || len(d.compressed) < 8 || binary.BigEndian.Uint32(d.compressed) != compressedCookie ||
		int64(binary.BigEndian.Uint32(d.compressed[4:])) != int64(len(d.compressed)-8) {
		return sparse{}, false
	}
	if err := d.inflate(d.compressed[8:]); err != nil || len(d.plain) < plainHeader {
		return sparse{}, false
	}
	header, counts := d.plain[:plainHeader], d.plain[plainHeader:]
	if binary.BigEndian.Uint32(header) != plainCookie || int64(binary.BigEndian.Uint32(header[4:])) != int64(len(counts)) ||
		binary.BigEndian.Uint32(header[8:]) != 0 || binary.BigEndian.Uint32(header[12:]) != significantDigits ||
		binary.BigEndian.Uint64(header[16:]) != lowestValue || binary.BigEndian.Uint64(header[24:]) != highestValue ||
		math.Float64frombits(binary.BigEndian.Uint64(header[32:])) != 1 {
		return sparse{}, false
	}
	err = d.sparseCounts(counts)
	return d.buckets, err == nil
}

// inflate decompresses into d.plain.
func (d *decoder) inflate(compressed []byte) error {
	d.source.Reset(compressed)
	if d.inflater == nil {
		inflater, err := zlib.NewReader(&d.source)
		if err != nil {
			return err
		}
		d.inflater = inflater
	} else if err := d.inflater.(zlib.Resetter).Reset(&d.source, nil); err != nil {
		return err
	}
	if cap(d.plain) == 0 {
		d.plain = make([]byte, 0, 64<<10)
	}
	d.plain = d.plain[:0]
	for {
		if len(d.plain) == cap(d.plain) {
			d.plain = append(d.plain, 0)[:len(d.plain)]
		}
		n, err := d.inflater.Read(d.plain[len(d.plain):cap(d.plain)])
		d.plain = d.plain[:len(d.plain)+n]
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(d.plain) > maxPlain:
			return fmt.Errorf("more than %d bytes", maxPlain)
		}
	}
}

var errCounts = errors.New("not the counts of a histogram")

// sparseCounts reads the counts of the plain V2 encoding into d.buckets.
func (d *decoder) sparseCounts(encoded []byte) error {
	s := sparse{index: d.buckets.index[:0], counts: d.buckets.counts[:0]}
	next := int64(0)
	for rest := encoded; len(rest) > 0; {
		n, size := binary.Varint(rest)
		if size <= 0 || size > maxCountBytes {
			return errCounts
		}
		rest = rest[size:]
		switch {
		case n < 0:
			next -= n
		default:
			if n > 0 {
				s.index, s.counts = append(s.index, int32(next)), append(s.counts, n)
			}
			next++
		}
		if next > allBuckets {
			return errCounts
		}
	}
	d.buckets = s
	return nil
}
