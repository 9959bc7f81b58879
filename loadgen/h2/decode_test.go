package h2

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// newTestDecoder returns a decoder to which names matter.
func newTestDecoder(names ...string) *decoder {
	d := &decoder{limit: decoderTable}
	var all []wanted
	for _, name := range names {
		all = append(all, wanted{name: name, place: -1})
	}
	d.want(all)
	return d
}

// decoded is a field as a decoder tells it; a value that is not wanted counts
// only by its length.
type decoded struct {
	name, value string
	length      int
}

// decodeAll reads a block with ours.
func decodeAll(d *decoder, block []byte) ([]decoded, error) {
	var all []decoded
	for d.begin(block); d.next(); {
		f := decoded{length: d.fieldLen}
		if d.mark != markNone {
			if f.name = string(d.name); d.index > 0 {
				f.name, _ = static(d.index)
			}
			f.value = string(d.value)
		}
		all = append(all, f)
	}
	return all, d.err
}

// sameTables compares the dynamic tables, entry by entry.
func sameTables(d *decoder, x *hpack.Decoder) error {
	for i := uint64(staticLength + 1); ; i++ {
		theirs, err := x.DecodeFull(appendInt(nil, 0x80, 7, i))
		_ = x.Close()
		e := d.entry(i)
		if (err == nil) != (e != nil) {
			return fmt.Errorf("index %d: ours %v, theirs %v", i, e, err)
		}
		if e == nil {
			return nil
		}
		if string(d.nameOf(e)) != theirs[0].Name || string(d.valueOf(e)) != theirs[0].Value {
			return fmt.Errorf("index %d: ours %q: %q, theirs %v", i, d.nameOf(e), d.valueOf(e), theirs[0])
		}
	}
}

// agree decodes a block with ours and x/net's. It returns false when both refuse
// it, and when they differ in what RFC 7541 leaves no doubt about: x/net's takes
// one change of the table's size at the start of a block only, and one behind a
// field while its table is empty.
func agree(t *testing.T, d *decoder, x *hpack.Decoder, block []byte) bool {
	t.Helper()
	ours, err := decodeAll(d, block)
	theirs, failure := x.DecodeFull(block)
	if errors.Is(err, errLate) || failure != nil && strings.Contains(failure.Error(), "MUST occur at the beginning") {
		return false
	}
	if (err != nil) != (failure != nil) {
		t.Fatalf("block %x: ours %v, theirs %v", block, err, failure)
	}
	if err != nil {
		return false
	}
	if len(ours) != len(theirs) {
		t.Fatalf("block %x: %d fields, theirs %d", block, len(ours), len(theirs))
	}
	for i, f := range theirs {
		want := decoded{name: f.Name, value: f.Value, length: len(f.Name) + len(f.Value)}
		if ours[i].name == "" && ours[i].value == "" && d.markOf([]byte(f.Name)) == markNone {
			want.name, want.value = "", ""
		}
		if ours[i] != want {
			t.Fatalf("block %x: field %d is %+v, theirs %+v", block, i, ours[i], want)
		}
	}
	if err := sameTables(d, x); err != nil {
		t.Fatalf("block %x: %v", block, err)
	}
	if len(d.buf) > 2*decoderTable || cap(d.buf) > 4*decoderTable || cap(d.entries) > 1024 {
		t.Fatalf("the table holds %d of %d bytes and %d entries", len(d.buf), cap(d.buf), cap(d.entries))
	}
	return true
}

// FuzzDecoder compares with x/net's decoder, block after block on the same tables.
func FuzzDecoder(f *testing.F) {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for range 3 {
		for name, value := range map[string]string{":status": "200", "date": "Sun, 22 Nov 2026 20:00:00 GMT", "x-wanted": "1", "x-other": "\x00\xff"} {
			_ = e.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
	}
	f.Add(bytes.Clone(b.Bytes()), uint8(20))
	f.Add([]byte("\x3f\xe1\x1f\x20\x88\x40\x01a\x01b\xbe\x00\x01a\x01b\x10\x81\x1f\x81\x1f"), uint8(5))
	f.Add([]byte("\x20\x3f\xe1\x1f\x7f\x80\x80\x00\x01x\x00\x00\x00"), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		d := newTestDecoder("x-wanted", "date", "server", "a", "")
		x := hpack.NewDecoder(decoderTable, nil)
		for len(b) > 0 {
			n := min(int(cut)+1, len(b))
			if !agree(t, d, x, b[:n]) {
				return
			}
			b = b[n:]
		}
	})
}

// TestDecoderAgrees sends thousands of random fields through x/net's encoder,
// with tables of changing size.
func TestDecoderAgrees(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	d := newTestDecoder("x-3", "x-7", "date", "content-length", "accept-encoding")
	x := hpack.NewDecoder(decoderTable, nil)
	names := []string{":status", "date", "content-length", "server", "accept-encoding", "x-1", "x-2", "x-3", "x-4", "x-5", "x-6", "x-7"}
	letters := "abcdefghijklmnop 0123456789-,:;\x00\xff\n\xe4"
	for range 20_000 {
		b.Reset()
		if random.IntN(50) == 0 {
			e.SetMaxDynamicTableSize(uint32(random.IntN(decoderTable + 1)))
		}
		for range 1 + random.IntN(8) {
			value := make([]byte, random.IntN(60))
			if random.IntN(100) == 0 {
				value = make([]byte, random.IntN(5000))
			}
			for i := range value {
				value[i] = letters[random.IntN(len(letters))]
			}
			f := hpack.HeaderField{Name: names[random.IntN(len(names))], Value: string(value), Sensitive: random.IntN(9) == 0}
			if random.IntN(3) == 0 {
				f.Value = "same"
			}
			if err := e.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		if !agree(t, d, x, b.Bytes()) {
			t.Fatalf("block %x is refused: %v", b.Bytes(), d.err)
		}
	}
}

// The blocks are those of RFC 7541, appendices C.3 to C.6, on one connection
// each; C.5 and C.6 have a table of 256 bytes.
func TestDecoderExamples(t *testing.T) {
	tests := []struct {
		name   string
		limit  int
		blocks []string
		last   string // of the last block
		size   int
	}{
		{"C.3", 4096, []string{
			"828684410f7777772e6578616d706c652e636f6d", "828684be58086e6f2d6361636865",
			"828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
		}, "custom-key: custom-value", 164},
		{"C.4", 4096, []string{
			"828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
		}, "custom-key: custom-value", 164},
		{"C.6", 256, []string{
			"488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
			"4883640effc1c0bf",
			"88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
		}, "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1", 215},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newTestDecoder("custom-key", "set-cookie")
			d.limit = tt.limit
			var fields []decoded
			for _, block := range tt.blocks {
				var b []byte
				if _, err := fmt.Sscanf(block, "%x", &b); err != nil {
					t.Fatal(err)
				}
				var err error
				if fields, err = decodeAll(d, b); err != nil {
					t.Fatal(err)
				}
			}
			if got := fields[len(fields)-1]; got.name+": "+got.value != tt.last {
				t.Errorf("last field %s: %s, want %s", got.name, got.value, tt.last)
			}
			if d.size != tt.size {
				t.Errorf("table of %d bytes, want %d", d.size, tt.size)
			}
		})
	}
}

// TestNameOfEvictedEntry: a field may take its name from an entry that it evicts
// (RFC 7541, section 4.4), also when the table's memory is tidied up for it.
func TestNameOfEvictedEntry(t *testing.T) {
	for _, value := range []int{10, 1000, 1900, 2500, 3000, 3900, 4040, 4100} {
		for before := range 300 {
			d := newTestDecoder("x-name", "x-pad")
			x := hpack.NewDecoder(decoderTable, nil)
			more, block := before%7, []byte(nil)
			insert := func(name string, n int) {
				block = appendPlain(appendPlain(append(block, 0x40), name), strings.Repeat("v", n))
			}
			for range before {
				insert("x-pad", 13*before%97)
			}
			insert("x-name", 20)
			for range more {
				insert("x-pad", 100*more)
			}
			block = appendPlain(appendInt(block, 0x40, 6, uint64(staticLength+1+more)), strings.Repeat("v", value))
			if !agree(t, d, x, block) {
				t.Fatalf("refused: %v", d.err)
			}
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	tests := []struct {
		name, block string
		want        error
	}{
		{"index 0", "\x80", errIndex},
		{"index in no table", "\xbe", errIndex},
		{"name in no table", "\x7f\x00\x01x", errIndex},
		{"integer without end", "\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", errInteger},
		{"integer cut short", "\xff\x80", errTruncated},
		{"no name", "\x40", errTruncated},
		{"no value", "\x40\x01a", errTruncated},
		{"value cut short", "\x40\x01a\x05abcd", errTruncated},
		{"a string of 2^60 bytes", "\x40\x01a\x7f\x80\x80\x80\x80\x80\x80\x80\x80\x10", errTruncated},
		{"end of string in a string", "\x40\x01a\x84\xff\xff\xff\xff", errHuffman},
		{"padding of a whole octet", "\x40\x01a\x82\x1f\xff", errHuffman},
		{"padding of exactly an octet", "\x40\x01a\x82\xf8\xff", errHuffman},
		{"padding with zeros", "\x40\x01a\x81\x00", errHuffman},
		{"table above 4096", "\x3f\xe2\x1f", errTooLarge},
		{"size behind a field", "\x88\x20", errLate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := decodeAll(newTestDecoder(), []byte(tt.block)); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := decodeAll(newTestDecoder(), []byte("\x20\x3f\xe1\x1f\x88")); err != nil {
		t.Errorf("two changes of the size at the start: %v, want them taken", err)
	}
}

// FuzzHuffman compares with x/net's.
func FuzzHuffman(f *testing.F) {
	for _, s := range []string{"", "www.example.com", "no-cache", "\x00\x16\xff\n\r{}|"} {
		f.Add(hpack.AppendHuffmanString(nil, s))
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := appendHuffman([]byte("before"), b)
		want, err := hpack.HuffmanDecodeToString(b)
		if ok != (err == nil) {
			t.Fatalf("%x: taken %t, theirs: %v", b, ok, err)
		}
		if ok && string(got) != "before"+want {
			t.Errorf("%x: %q, want %q", b, got[6:], want)
		}
		// As text, it has to come back.
		if got, ok := appendHuffman(nil, hpack.AppendHuffmanString(nil, string(b))); !ok || !bytes.Equal(got, b) {
			t.Errorf("%q comes back as %q, %t", b, got, ok)
		}
	})
}

// TestMarksFollowUpdates: what a new check wants is known also of entries that
// are in the table already.
func TestMarksFollowUpdates(t *testing.T) {
	d := newTestDecoder()
	block := []byte("\x40\x06x-late\x04here")
	if _, err := decodeAll(d, block); err != nil {
		t.Fatal(err)
	}
	d.want(wantedNames(&Config{BackendHeader: "x-late"}, []exchange.Request{{Check: &exchange.Check{Header: exchange.Field{Name: "etag"}}}}))
	fields, err := decodeAll(d, []byte("\xbe"))
	if err != nil || len(fields) != 1 || fields[0].value != "here" {
		t.Errorf("decoded %+v, %v; want the value of x-late", fields, err)
	}
	if !slices.ContainsFunc(d.wanted, func(w wanted) bool { return w.name == "etag" && w.checked }) {
		t.Errorf("wanted are %+v, want etag among them", d.wanted)
	}
}

// TestBackendNames: names are kept once, cut, and not without bound.
func TestBackendNames(t *testing.T) {
	var b backends
	long := strings.Repeat("ä", 200)
	if got, want := b.name([]byte(long)), long[:backendLength]; got != want {
		t.Errorf("a name of %d bytes, want it cut to %d", len(got), len(want))
	}
	if got := b.name([]byte("a\xffb")); got != "a?b" {
		t.Errorf("name %q, want a?b", got)
	}
	for i := range 3 * backendNames {
		b.name(fmt.Append(nil, "pod-", i))
	}
	if got := len(b.names); got != backendNames {
		t.Errorf("%d names are kept, want %d", got, backendNames)
	}
	if got := b.name([]byte("pod-2")); got != "pod-2" {
		t.Errorf("a known name is %q", got)
	}
	if got := b.name([]byte("pod-unknown")); got != "" {
		t.Errorf("one name too many is %q", got)
	}
}

// blockOf encodes a header block, of which only the first two fields are indexed.
func blockOf(tb testing.TB, pairs ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		if err := e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1], Sensitive: i >= 4}); err != nil {
			tb.Fatal(err)
		}
	}
	return bytes.Clone(b.Bytes())
}

// BenchmarkDecoder decodes an answer's header block whose fields are not indexed,
// but for two, with ours and x/net's.
func BenchmarkDecoder(b *testing.B) {
	block := blockOf(b, ":status", "200", "server", "envoy", "date", "Sun, 22 Nov 2026 20:00:00 GMT", "content-type", "text/plain",
		"content-length", "1024", "x-envoy-upstream-service-time", "3")
	b.Run("ours", func(b *testing.B) {
		d := newTestDecoder("server", "x-envoy-upstream-service-time")
		b.ReportAllocs()
		for b.Loop() {
			for d.begin(block); d.next(); {
			}
		}
	})
	b.Run("x-net", func(b *testing.B) {
		d := hpack.NewDecoder(decoderTable, func(hpack.HeaderField) {})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.Write(block); err != nil {
				b.Fatal(err)
			}
			_ = d.Close()
		}
	})
}
