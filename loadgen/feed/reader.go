package feed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/sailplan-io/sailplan/scenarios"
)

// How much is read ahead: batches of so many rows or bytes, whichever is first,
// and how many of them there are.
const (
	batchRows  = 256
	batchBytes = 64 << 10
	batches    = 4
)

// maxKept is how much of a file's prepared rows is kept for the next round, in
// bytes; a larger file is read again.
const maxKept = 4 << 20

// batch holds prepared rows: the cells of each, one behind the other.
type batch struct {
	data  []byte
	ends  []int // of each cell in data
	lines []int // of each row in the file
	err   error // behind the rows: ErrEnd, or why no more can be read
}

func (b *batch) empty() { b.data, b.ends, b.lines, b.err = b.data[:0], b.ends[:0], b.lines[:0], nil }

// reader fills batches.
type reader struct {
	file            string
	order           scenarios.FeedOrder
	cells           []cell
	columns         []string // without repetition
	column          []int    // of each cell, in columns
	worker, workers int

	ready, free chan *batch
	stop        chan struct{}
	current     *batch
	kept        *batch // all rows of the file, while they fit
	number      int    // of the next row, counted on through the rounds
}

func newReader(o Options, cells []cell) *reader {
	r := &reader{
		file: o.Feed.File, order: o.Feed.Order, cells: cells,
		worker: o.Worker, workers: max(1, o.Workers),
		ready: make(chan *batch, batches), free: make(chan *batch, batches),
		stop: make(chan struct{}),
	}
	if r.order != scenarios.FeedOnce {
		r.kept = &batch{}
	}
	for _, c := range cells {
		i := slices.Index(r.columns, c.column)
		if i < 0 {
			i = len(r.columns)
			r.columns = append(r.columns, c.column)
		}
		r.column = append(r.column, i)
	}
	for range batches {
		r.free <- &batch{}
	}
	return r
}

// errStopped ends the reader when nobody wants its rows any more.
var errStopped = errors.New("the feed is closed")

// run fills batches until the rows end or the feed is closed. The last batch
// carries the reason.
func (r *reader) run() {
	err := r.rounds()
	if errors.Is(err, errStopped) {
		return
	}
	if r.take() != nil {
		return
	}
	r.current.err = err
	r.ready <- r.current // a batch that is not free has room there
}

func (r *reader) rounds() error {
	for {
		before := r.number
		if err := r.round(); err != nil {
			return err
		}
		switch {
		case r.number == before:
			return fmt.Errorf("feed %s: there are no rows", r.file)
		case r.order == scenarios.FeedOnce:
			return ErrEnd
		case r.kept != nil:
			return r.repeat()
		}
	}
}

// round reads the file once.
func (r *reader) round() error {
	f, err := os.Open(r.file)
	if err != nil {
		return fmt.Errorf("feed: %w", err)
	}
	defer f.Close()
	rows, err := newRows(r.file, f, r.columns)
	if err != nil {
		return r.explain(err)
	}
	for {
		if err := rows.next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return r.explain(err)
		}
		isMine := r.number%r.workers == r.worker
		r.number++
		if r.kept != nil {
			if err := r.append(r.kept, rows); err != nil {
				return err
			}
			if len(r.kept.data) > maxKept || len(r.kept.ends)+len(r.kept.lines) > maxKept/16 {
				r.kept = nil
			}
		}
		if !isMine {
			continue
		}
		if err := r.take(); err != nil {
			return err
		}
		if err := r.append(r.current, rows); err != nil {
			return err
		}
		r.give()
	}
}

// repeat goes on with the rows that were kept.
func (r *reader) repeat() error {
	n := len(r.cells)
	total := len(r.kept.lines)
	for ; ; r.number++ {
		if r.number%r.workers != r.worker {
			continue
		}
		if err := r.take(); err != nil {
			return err
		}
		row, start := r.number%total, 0
		if row > 0 {
			start = r.kept.ends[row*n-1]
		}
		shift := len(r.current.data) - start
		r.current.data = append(r.current.data, r.kept.data[start:r.kept.ends[(row+1)*n-1]]...)
		for _, end := range r.kept.ends[row*n : (row+1)*n] {
			r.current.ends = append(r.current.ends, end+shift)
		}
		r.current.lines = append(r.current.lines, r.kept.lines[row])
		r.give()
	}
}

// append prepares the cells of a row.
func (r *reader) append(b *batch, rows rows) error {
	for i, c := range r.cells {
		value, err := rows.value(r.column[i])
		if err == nil {
			b.data, err = appendForm(b.data, value, c.form)
		}
		if err != nil {
			return fmt.Errorf("feed %s:%d: ${%s}: %w", r.file, rows.line(), c.column, err)
		}
		b.ends = append(b.ends, len(b.data))
	}
	b.lines = append(b.lines, rows.line())
	return nil
}

// take waits for a batch to fill.
func (r *reader) take() error {
	if r.current != nil {
		return nil
	}
	select {
	case r.current = <-r.free:
		r.current.empty()
		return nil
	case <-r.stop:
		return errStopped
	}
}

// give hands the batch over when it is full. There is room for all batches.
func (r *reader) give() {
	if len(r.current.data) >= batchBytes || len(r.current.lines) >= batchRows {
		r.ready <- r.current
		r.current = nil
	}
}

// explain adds the file and the line to an error of a row.
func (r *reader) explain(err error) error {
	var row *rowError
	if errors.As(err, &row) {
		return fmt.Errorf("feed %s:%d: %w", r.file, row.line, row.err)
	}
	return fmt.Errorf("feed %s: %w", r.file, err)
}
