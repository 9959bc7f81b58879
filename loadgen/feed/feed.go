package feed

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"unsafe"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/scenarios"
)

// ErrNotReady is returned by Next when the next row has not been read yet: the
// file is slower than the load. The request has to wait, and to ask again.
var ErrNotReady = errors.New("the next row of the feed is not read yet")

// ErrEnd is returned by Next when the rows of a feed that is taken once are over.
var ErrEnd = errors.New("the rows of the feed are over")

// Options say what a Feed is for.
type Options struct {
	Feed     scenarios.Feed
	Requests []scenarios.Request // of the plan
	Prefix   string              // of every path, as Endpoint.Path is
	Worker   int                 // whose feed it is, from 0
	Workers  int                 // how many there are; 0: one
	// Encode appends the body of a gRPC call to out, from its message in JSON. It
	// is called by Next. Needed where a message varies.
	Encode func(kind int, out, message []byte) ([]byte, error)
}

// Feed gives the variations of requests. Its methods belong to one goroutine.
type Feed struct {
	kinds  []kind
	cells  int
	encode func(kind int, out, message []byte) ([]byte, error)

	reader *reader
	done   sync.WaitGroup
	batch  *batch
	row    int // of batch
	err    error

	variation exchange.Variation
	buffer    []byte
	message   []byte
}

// spareFields is the room that a Variation's fields have for those of the caller.
const spareFields = 4

// Open opens a feed and waits until its first rows are read. What is wrong with
// the file or with one of them is an error that names the line.
func Open(ctx context.Context, o Options) (*Feed, error) {
	if o.Worker < 0 || o.Worker >= max(1, o.Workers) {
		return nil, fmt.Errorf("feed %s: worker %d of %d", o.Feed.File, o.Worker, o.Workers)
	}
	var c compiler
	f := &Feed{encode: o.Encode}
	most := 0
	for _, r := range o.Requests {
		k := c.request(r, o.Prefix)
		if k.isCall && k.body != nil && o.Encode == nil {
			return nil, fmt.Errorf("feed %s: request %q: no encoder for its message", o.Feed.File, r.Name)
		}
		f.kinds = append(f.kinds, k)
		most = max(most, len(k.headers))
	}
	f.cells = len(c.cells)
	f.variation.Fields = make([]exchange.Field, 0, most+spareFields)
	if f.cells == 0 {
		return f, nil // nothing varies, so nothing is read
	}
	f.reader = newReader(o, c.cells)
	f.done.Go(f.reader.run)
	select {
	case f.batch = <-f.reader.ready:
	case <-ctx.Done():
		f.Close()
		return nil, fmt.Errorf("feed %s: %w", o.Feed.File, ctx.Err())
	}
	if err := f.batch.err; err != nil && !errors.Is(err, ErrEnd) && len(f.batch.lines) == 0 {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close ends reading and waits for it.
func (f *Feed) Close() {
	if f.reader == nil {
		return
	}
	close(f.reader.stop)
	f.done.Wait()
	f.reader, f.batch, f.err = nil, nil, errStopped
}

// Varies reports whether requests of a kind take a row.
func (f *Feed) Varies(kind int) bool { return f.kinds[kind].varies() }

// Next returns what the next request of a kind has of its own; nil, and no row is
// taken, when nothing of it varies. Its strings and slices are valid until the
// next call; Fields has room for a few more. An error other than ErrNotReady
// stays: there are no more rows.
func (f *Feed) Next(kind int) (*exchange.Variation, error) {
	k := &f.kinds[kind]
	if !k.varies() {
		return nil, nil
	}
	if err := f.advance(); err != nil {
		return nil, err
	}
	v := &f.variation
	v.Path, v.Fields, v.Body, v.HasBody = "", v.Fields[:0], nil, false
	f.buffer = f.buffer[:0]
	if k.path != nil {
		v.Path = text(f.expand(k.path))
	}
	for i := range k.headers {
		v.Fields = append(v.Fields, exchange.Field{Name: k.headers[i].name, Value: text(trim(f.expand(k.headers[i].value)))})
	}
	if k.body != nil {
		if err := f.body(kind, v); err != nil {
			f.err = err
			return nil, err
		}
	}
	f.row++
	return v, nil
}

// body sets the variation's body, and its length where the protocol does not.
func (f *Feed) body(kind int, v *exchange.Variation) error {
	k := &f.kinds[kind]
	v.HasBody = true
	if k.isCall {
		f.message = append(f.message[:0], f.expand(k.body)...)
		start := len(f.buffer)
		out, err := f.encode(kind, f.buffer, f.message)
		if err != nil {
			return fmt.Errorf("feed %s:%d: %w", f.reader.file, f.batch.lines[f.row], err)
		}
		f.buffer = out
		v.Body = out[start:len(out):len(out)]
		return nil
	}
	v.Body = f.expand(k.body)
	start := len(f.buffer)
	f.buffer = strconv.AppendInt(f.buffer, int64(len(v.Body)), 10)
	v.Fields = append(v.Fields, exchange.Field{Name: "content-length", Value: text(f.buffer[start:])})
	return nil
}

// advance goes to the next row.
func (f *Feed) advance() error {
	if f.err != nil {
		return f.err
	}
	for f.batch == nil || f.row >= len(f.batch.lines) {
		if f.batch != nil {
			if f.err = f.batch.err; f.err != nil {
				return f.err
			}
			f.reader.free <- f.batch // there is room for all batches
			f.batch = nil
		}
		select {
		case f.batch = <-f.reader.ready:
			f.row = 0
		default:
			return ErrNotReady
		}
	}
	return nil
}

// expand appends a template with the cells of the current row to the buffer, and
// returns what it appended.
func (f *Feed) expand(t template) []byte {
	start := len(f.buffer)
	ends, data := f.batch.ends, f.batch.data
	for i := range t {
		f.buffer = append(f.buffer, t[i].text...)
		if t[i].cell < 0 {
			continue
		}
		at, from := f.row*f.cells+t[i].cell, 0
		if at > 0 {
			from = ends[at-1]
		}
		f.buffer = append(f.buffer, data[from:ends[at]]...)
	}
	return f.buffer[start:len(f.buffer):len(f.buffer)]
}

// trim drops spaces and tabs at the ends, which a header may not have.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// text is b as a string without a copy: valid as long as b is not written to.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
