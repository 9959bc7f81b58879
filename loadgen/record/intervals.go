package record

import (
	"runtime"
	"sync"
)

const (
	// batchBytes is from which length of text on a batch of lines is full.
	batchBytes = 32 << 10
	// maxDecoders bounds the goroutines that decode: using the lines one after the
	// other takes a fifth of the work, so more of them would wait for that.
	maxDecoders = 4
	// batchesEach is how many batches there are for each of them: one that is decoded,
	// one that is read or used.
	batchesEach = 2
)

// hlogBatch is some successive lines of latency.hlog. Its memory is used again.
type hlogBatch struct {
	text    []byte
	lines   []readInterval
	failed  error         // of reading what follows the lines
	decoded chan struct{} // gets one value when all lines are decoded
}

// readInterval is one line, before and after it is decoded.
type readInterval struct {
	end    int // in the text of the batch
	number int
	last   bool // of the file, without a line break
	line   hlogLine
	ok     bool // it is an interval
	err    error
}

// eachInterval hands the intervals of latency.hlog to use, in their order and one at a
// time, with the errors of eachLine; the values are valid until use returns. Since
// decoding takes most of the time, several goroutines do that a few lines ahead: no
// more than maxDecoders·batchesEach batches are in memory.
func eachInterval(path string, use func(hlogLine) error) (torn bool, err error) {
	lines, err := openLines(path, 0)
	if err != nil {
		return false, err
	}
	defer lines.close()

	decoders := min(maxDecoders, runtime.GOMAXPROCS(0))
	// Each channel has room for all batches, so that only taking from one can wait.
	batches := decoders * batchesEach
	free, work, order := make(chan *hlogBatch, batches), make(chan *hlogBatch, batches), make(chan *hlogBatch, batches)
	for range batches {
		free <- &hlogBatch{decoded: make(chan struct{}, 1)}
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	defer running.Wait()
	defer close(stop)
	running.Go(func() {
		defer close(work)
		defer close(order)
		for {
			select {
			case <-stop:
				return
			case b := <-free:
				more := b.read(lines)
				work <- b
				order <- b
				if !more {
					return
				}
			}
		}
	})
	for range decoders {
		running.Go(func() {
			var d decoder
			for b := range work {
				b.decode(&d)
				b.decoded <- struct{}{}
			}
		})
	}
	for b := range order {
		<-b.decoded
		if torn, err := b.use(lines, use); torn || err != nil {
			return torn, err
		}
		free <- b
	}
	return false, nil
}

// read fills the batch; more is false when nothing comes after it.
func (b *hlogBatch) read(lines *lineReader) (more bool) {
	b.text, b.lines, b.failed = b.text[:0], b.lines[:0], nil
	for len(b.text) < batchBytes {
		text, last, err := lines.next()
		if err != nil {
			b.failed = err
			return false
		}
		if len(text) > 0 {
			b.text = append(b.text, text...)
			b.add(readInterval{end: len(b.text), number: lines.number, last: last})
		}
		if last {
			return false
		}
	}
	return true
}

// add appends a line, and gives it the memory of the one that was in its place before.
func (b *hlogBatch) add(line readInterval) {
	if n := len(b.lines); n < cap(b.lines) {
		line.line.values = b.lines[:n+1][n].line.values
	}
	b.lines = append(b.lines, line)
}

func (b *hlogBatch) decode(d *decoder) {
	from := 0
	for i := range b.lines {
		l := &b.lines[i]
		into := l.line.values
		l.line, l.ok, l.err = parseHlogLine(d, b.text[from:l.end])
		l.line.values = l.line.values.copied(into)
		from = l.end
	}
}

// use hands the intervals on up to the first that is refused.
func (b *hlogBatch) use(lines *lineReader, use func(hlogLine) error) (torn bool, err error) {
	for _, l := range b.lines {
		err := l.err
		if err == nil && l.ok {
			err = use(l.line)
		}
		if err != nil {
			if l.last {
				return true, nil
			}
			return false, lines.at(l.number, err)
		}
	}
	return false, b.failed
}
