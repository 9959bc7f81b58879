package record

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// sampleDecoder reads rows of samples.jsonl. A row as the Writer writes it is read
// at once, an order of magnitude faster than encoding/json does; whatever looks
// different goes to encoding/json, which also finds the words for what is wrong.
type sampleDecoder struct {
	names map[string]string // of components, replicas and metrics, each once in memory
}

func (d *sampleDecoder) decode(text []byte) (sample Sample, err error) {
	if sample, ok := d.plain(text); ok {
		return sample, nil
	}
	err = json.Unmarshal(text, &sample)
	return sample, err
}

// plain reads a row of exactly the form that the Writer writes; ok is false for
// any other.
func (d *sampleDecoder) plain(text []byte) (sample Sample, ok bool) {
	row := rowReader{rest: text}
	row.skip(`{"atNanos":`)
	at, err := strconv.ParseInt(string(row.number()), 10, 64)
	row.skip(`,"component":`)
	sample.At, sample.Component = time.Duration(at), d.name(row.text())
	if row.has(`,"replica":`) {
		sample.Replica = d.name(row.text())
	}
	row.skip(`,"metrics":{`)
	if err != nil || row.bad {
		return Sample{}, false
	}
	sample.Metrics = make(map[Metric]float64, bytes.Count(row.rest, []byte{':'}))
	for i := 0; !row.has(`}`); i++ {
		if i > 0 {
			row.skip(`,`)
		}
		metric := d.name(row.text())
		row.skip(`:`)
		value, err := strconv.ParseFloat(string(row.number()), 64)
		if err != nil || row.bad {
			return Sample{}, false
		}
		sample.Metrics[Metric(metric)] = value
	}
	row.skip(`}`)
	return sample, !row.bad && len(row.rest) == 0
}

func (d *sampleDecoder) name(text []byte) string {
	name, known := d.names[string(text)]
	if !known {
		if d.names == nil {
			d.names = map[string]string{}
		}
		name = string(text)
		d.names[name] = name
	}
	return name
}

// rowReader takes a row apart from its front. bad says that something did not fit.
type rowReader struct {
	rest []byte
	bad  bool
}

// has takes literal away if the rest begins with it.
func (r *rowReader) has(literal string) bool {
	if len(r.rest) < len(literal) || string(r.rest[:len(literal)]) != literal {
		return false
	}
	r.rest = r.rest[len(literal):]
	return true
}

func (r *rowReader) skip(literal string) { r.bad = !r.has(literal) || r.bad }

// text takes a string in quotes without escapes, of ASCII.
func (r *rowReader) text() []byte {
	r.skip(`"`)
	for i, c := range r.rest {
		if c == '"' {
			text := r.rest[:i]
			r.rest = r.rest[i+1:]
			return text
		}
		if c == '\\' || c < ' ' || c > '~' {
			break
		}
	}
	r.bad = true
	return nil
}

// number takes a number by the grammar of JSON, which is narrower than strconv's.
func (r *rowReader) number() []byte {
	i := 0
	digits := func() (n int) {
		for ; i < len(r.rest) && r.rest[i] >= '0' && r.rest[i] <= '9'; i++ {
			n++
		}
		return n
	}
	one := func(set string) bool {
		found := i < len(r.rest) && bytes.IndexByte([]byte(set), r.rest[i]) >= 0
		if found {
			i++
		}
		return found
	}
	one("-")
	if one("0") == (digits() > 0) { // either a zero alone, or other digits
		r.bad = true
	}
	if one(".") && digits() == 0 {
		r.bad = true
	}
	if one("eE") {
		one("+-")
		if digits() == 0 {
			r.bad = true
		}
	}
	number := r.rest[:i]
	r.rest = r.rest[i:]
	return number
}
