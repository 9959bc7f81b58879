package h2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// TestBlocksDecode sends several kinds of requests many times under several
// limits of the table, and decodes every block with x/net's decoder, which
// refuses a table that grows beyond what it allows.
func TestBlocksDecode(t *testing.T) {
	kinds := [][]exchange.Field{
		{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: "accept", Value: "*/*"}},
		{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/cart"}, {Name: "x-empty", Value: ""}, {Name: "cookie", Value: strings.Repeat("c", 300)}},
		{{Name: ":method", Value: "PUT"}, {Name: ":path", Value: "/päth?q=1"}, {Name: "x-bin", Value: "\x01\xff\x7f"}, {Name: "authorization", Value: strings.Repeat("t0ken", 900)}},
		{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: "x-a", Value: "1"}, {Name: "x-a", Value: "2"}, {Name: "x-a", Value: "1"}},
	}
	tests := []struct {
		name   string
		limits []int // before each round: −1 leaves the limit
	}{
		{"default", []int{-1, -1, -1}},
		{"none from the start", []int{0, -1, -1}},
		{"small", []int{120, -1, -1}},
		{"shrinks", []int{-1, 200, -1, 40, -1}},
		{"shrinks and grows", []int{-1, 0, 4096, -1, 100, 1000, -1}},
		{"larger than used", []int{65536, -1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEncoder(len(kinds))
			d := hpack.NewDecoder(4096, nil)
			for round, limit := range tt.limits {
				if limit >= 0 {
					e.allow(uint32(limit))
					d.SetAllowedMaxDynamicTableSize(uint32(limit))
				}
				for range 3 {
					for kind, fields := range kinds {
						got, err := d.DecodeFull(e.block(kind, fields))
						if err != nil {
							t.Fatalf("round %d, kind %d: %v", round, kind, err)
						}
						if !slices.EqualFunc(got, fields, func(g hpack.HeaderField, f exchange.Field) bool {
							return g.Name == f.Name && g.Value == f.Value
						}) {
							t.Fatalf("round %d, kind %d: decoded %v, want %v", round, kind, got, fields)
						}
					}
				}
			}
		})
	}
}

// TestBlocksSettle: once each kind was sent, blocks are the same bytes again and
// again, and all but what found no room is an index of one byte.
func TestBlocksSettle(t *testing.T) {
	e := newEncoder(10)
	var kinds [][]exchange.Field
	for i := range 10 {
		kinds = append(kinds, []exchange.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: fmt.Sprintf("/item/%d", i)}, {Name: "user-agent", Value: "sailplan"}})
	}
	for range 2 {
		for kind, fields := range kinds {
			e.block(kind, fields)
		}
	}
	for kind, fields := range kinds {
		first := string(e.block(kind, fields))
		if again := string(e.block(kind, fields)); again != first {
			t.Errorf("kind %d: block changed from %x to %x", kind, first, again)
		}
		if len(first) != len(fields) {
			t.Errorf("kind %d: block of %d bytes, want %d", kind, len(first), len(fields))
		}
	}
	if got := testing.AllocsPerRun(100, func() { e.block(3, kinds[3]) }); got != 0 {
		t.Errorf("%v allocations for a block that was encoded before, want 0", got)
	}
}

// TestResizeIsAnnounced: the first block after the peer has changed its limit has
// to begin with updates of the table's size (RFC 7541, sections 4.2 and 6.3): 0x20
// is a size of 0, 0x3f45 one of 100.
func TestResizeIsAnnounced(t *testing.T) {
	e := newEncoder(1)
	fields := []exchange.Field{{Name: ":method", Value: "GET"}, {Name: "x", Value: "y"}}
	e.block(0, fields)
	e.allow(100)
	if got := fmt.Sprintf("%x", e.block(0, fields)); !strings.HasPrefix(got, "203f45") {
		t.Errorf("block %s, want one that begins with 203f45", got)
	}
	if got := fmt.Sprintf("%x", e.block(0, fields)); got != "82be" {
		t.Errorf("second block %s, want 82be", got)
	}
	e.allow(100)
	if got := fmt.Sprintf("%x", e.block(0, fields)); got != "82be" {
		t.Errorf("block %s after the same limit again, want 82be", got)
	}
}

// The static table is checked against x/net's, index by index.
func TestStaticTable(t *testing.T) {
	d := hpack.NewDecoder(4096, nil)
	for i := 1; i <= staticLength; i++ {
		want, err := d.DecodeFull(appendInt(nil, 0x80, 7, uint64(i)))
		if err != nil {
			t.Fatal(err)
		}
		if name, value := static(i); name != want[0].Name || value != want[0].Value {
			t.Errorf("index %d is %s: %s, want %v", i, name, value, want[0])
		}
	}
}

// The examples are those of RFC 7541, appendix C.1.
func TestAppendInt(t *testing.T) {
	tests := []struct {
		bits  uint
		value uint64
		want  string
	}{{5, 10, "0a"}, {5, 1337, "1f9a0a"}, {8, 42, "2a"}, {5, 31, "1f00"}, {7, 127, "7f00"}}
	for _, tt := range tests {
		if got := fmt.Sprintf("%x", appendInt(nil, 0, tt.bits, tt.value)); got != tt.want {
			t.Errorf("appendInt(%d bits, %d) = %s, want %s", tt.bits, tt.value, got, tt.want)
		}
	}
}

// variedFields decodes what vary returns.
func variedFields(t *testing.T, d *hpack.Decoder, block []byte) []hpack.HeaderField {
	t.Helper()
	fields, err := d.DecodeFull(block)
	if err != nil {
		t.Fatalf("block %x: %v", block, err)
	}
	return fields
}

// TestVary: pseudo-header fields stay in front, changes of the table's size
// before them, and what is secret is marked as never to be indexed.
func TestVary(t *testing.T) {
	kinds := [][]exchange.Field{
		{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: "accept", Value: "*/*"}},
		{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: "x-kind", Value: "post"}},
	}
	e := newEncoder(len(kinds))
	d := hpack.NewDecoder(4096, nil)
	limits := []int{-1, -1, -1, 300, -1, 0, -1, 4096, -1, -1, 90, -1}
	for round, limit := range limits {
		if limit >= 0 {
			e.allow(uint32(limit))
			d.SetAllowedMaxDynamicTableSize(uint32(limit))
		}
		if round == 8 {
			e.forget()
		}
		for i := range 4 {
			kind := i % 2
			v := &exchange.Variation{Path: fmt.Sprintf("/item/%d-%d", round, i), Fields: []exchange.Field{
				{Name: "traceparent", Value: fmt.Sprintf("00-%032d-%016d-01", round, i)},
				{Name: "content-length", Value: fmt.Sprint(i)},
				{Name: "authorization", Value: "Bearer secret"},
				{Name: "x-auth-token", Value: "secret"},
				{Name: "x-kind", Value: "varied"},
			}}
			want := []hpack.HeaderField{{Name: ":path", Value: v.Path}}
			for _, f := range append(slices.Clone(kinds[kind]), v.Fields...) {
				secret := f.Value == "Bearer secret" || f.Value == "secret"
				want = append(want, hpack.HeaderField{Name: f.Name, Value: f.Value, Sensitive: secret})
			}
			if got := variedFields(t, d, e.vary(kind, kinds[kind], v)); !slices.Equal(got, want) {
				t.Fatalf("round %d: decoded %v, want %v", round, got, want)
			}
			if got := variedFields(t, d, e.block(kind, kinds[kind])); len(got) != 3 || got[2].Value != kinds[kind][2].Value {
				t.Fatalf("round %d: decoded %v without variation, want %v", round, got, kinds[kind])
			}
		}
	}
	if len(e.names) != 5 {
		t.Errorf("%d names are known, want 5", len(e.names))
	}
}

// TestRealisticBlocks: of ten kinds with twelve fields and a token of 1 KiB, the
// second request of a kind takes an index of one or two bytes for each field.
func TestRealisticBlocks(t *testing.T) {
	token := strings.Repeat("eyJhbGciOiJSUzI1NiIsImtpZCI6IjE3", 32)
	kinds := func(token string) (all [][]exchange.Field) {
		for i := range 10 {
			all = append(all, []exchange.Field{
				{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "shop.example.com"},
				{Name: ":path", Value: fmt.Sprintf("/api/v1/products/%d?expand=all", i)},
				{Name: "accept", Value: "application/json"}, {Name: "accept-encoding", Value: "gzip"},
				{Name: "authorization", Value: "Bearer " + token}, {Name: "user-agent", Value: "sailplan"},
				{Name: "x-request-source", Value: "load"}, {Name: "x-tenant", Value: "harbour"},
				{Name: "x-b3-sampled", Value: "0"}, {Name: "cache-control", Value: "no-cache"},
			})
		}
		return all
	}
	e := newEncoder(10)
	d := hpack.NewDecoder(4096, nil)
	send := func(fields [][]exchange.Field) (bytes int) {
		for kind := range fields {
			block := e.block(kind, fields[kind])
			bytes += len(block)
			if got := variedFields(t, d, block); len(got) != 12 || got[6].Value != fields[kind][6].Value {
				t.Fatalf("kind %d: decoded %v", kind, got)
			}
		}
		return bytes
	}
	send(kinds(token))
	if got := send(kinds(token)); got > 10*12*2 {
		t.Errorf("ten blocks of %d bytes, want at most 240", got)
	}
	// Tokens that are renewed again and again don't fill the table for good.
	for i := range 10 {
		renewed := kinds(fmt.Sprint(i, token))
		e.forget()
		send(renewed)
		if got := send(renewed); got > 10*12*2 {
			t.Errorf("ten blocks of %d bytes after renewal %d, want at most 240", got, i)
		}
	}
	// And one sending's own trace costs its value and little more.
	fields := kinds("9" + token)
	v := &exchange.Variation{Fields: []exchange.Field{{Name: "traceparent", Value: strings.Repeat("a", 55)}}}
	for range 2 {
		variedFields(t, d, e.vary(0, fields[0], v))
		send(fields)
	}
	if got := len(e.vary(0, fields[0], v)); got > 12*2+55+4 {
		t.Errorf("a block of %d bytes with a traceparent, want at most 83", got)
	}
}
