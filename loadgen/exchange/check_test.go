package exchange_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// checked feeds a body in pieces of a size.
func checked(check *exchange.Check, body []byte, size int) exchange.Progress {
	var p exchange.Progress
	for len(body) > 0 {
		n := min(size, len(body))
		check.Data(&p, bytes.Clone(body[:n]))
		body = body[n:]
	}
	return p
}

func TestCheckBody(t *testing.T) {
	tests := []struct{ body, want string }{
		{"hello world", "world"}, {"hello world", "hello"}, {"hello world", "o w"}, {"hello world", "hello world"},
		{"hello world", "worlds"}, {"hello world", "x"}, {"", "x"}, {"aaab", "aab"}, {"ababac", "abac"},
		{"abababab", "ababac"}, {"aabaabaaab", "aabaaab"}, {"aaaaaaaaaa", "aaaaab"},
	}
	for _, tt := range tests {
		check := &exchange.Check{Body: []byte(tt.want)}
		want := exchange.Good
		if !strings.Contains(tt.body, tt.want) {
			want = exchange.CheckFailed
		}
		for size := 1; size <= max(1, len(tt.body)); size++ {
			p := checked(check, []byte(tt.body), size)
			if got := check.Class(&p, 200, exchange.Good); got != want {
				t.Errorf("%q in %q in pieces of %d: %s, want %s", tt.want, tt.body, size, got, want)
			}
		}
	}
}

// FuzzCheckBody compares with bytes.Contains, however the body is cut.
func FuzzCheckBody(f *testing.F) {
	f.Add([]byte("hello world"), []byte("o w"), uint8(1))
	f.Add([]byte("aabaabaaab"), []byte("aabaaab"), uint8(3))
	f.Add([]byte("abcabcabcabd"), []byte("abcabd"), uint8(2))
	f.Fuzz(func(t *testing.T, body, part []byte, size uint8) {
		if len(part) == 0 {
			return
		}
		// Few letters, so that parts of the part come again.
		for _, b := range [][]byte{body, part} {
			for i := range b {
				b[i] = 'a' + b[i]%3
			}
		}
		check := &exchange.Check{Body: part}
		p := checked(check, body, int(size)+1)
		if got, want := !check.Open(&p), bytes.Contains(body, part); got != want {
			t.Errorf("%q in %q in pieces of %d: %t, want %t", part, body, int(size)+1, got, want)
		}
	})
}

func TestCheckClass(t *testing.T) {
	ok := []exchange.StatusRange{{From: 200, To: 204}, {From: 404, To: 404}}
	header := exchange.Field{Name: "content-type", Value: "json"}
	tests := []struct {
		name   string
		check  exchange.Check
		status int
		class  exchange.Class
		value  string // of the header; "-": it is not there
		want   exchange.Class
	}{
		{"nothing is checked", exchange.Check{}, 200, exchange.Good, "-", exchange.Good},
		{"status", exchange.Check{Status: ok}, 204, exchange.Good, "-", exchange.Good},
		{"other status", exchange.Check{Status: ok}, 205, exchange.Good, "-", exchange.CheckFailed},
		{"wanted error", exchange.Check{Status: ok}, 404, exchange.Service4xx, "-", exchange.Good},
		{"unwanted error", exchange.Check{Status: ok}, 403, exchange.Service4xx, "-", exchange.CheckFailed},
		{"no status asked for", exchange.Check{Header: header}, 404, exchange.Service4xx, "json", exchange.CheckFailed},
		{"a server's error says more", exchange.Check{Status: ok}, 503, exchange.Overflow, "-", exchange.Overflow},
		{"wanted server's error", exchange.Check{Status: []exchange.StatusRange{{From: 503, To: 503}}}, 503, exchange.Overflow, "-", exchange.Good},
		{"header", exchange.Check{Header: header}, 200, exchange.Good, "application/json", exchange.Good},
		{"other header", exchange.Check{Header: header}, 200, exchange.Good, "text/html", exchange.CheckFailed},
		{"no header", exchange.Check{Header: header}, 200, exchange.Good, "-", exchange.CheckFailed},
		{"any header", exchange.Check{Header: exchange.Field{Name: "etag"}}, 200, exchange.Good, "", exchange.Good},
		{"not any header", exchange.Check{Header: exchange.Field{Name: "etag"}}, 200, exchange.Good, "-", exchange.CheckFailed},
		{"wanted status, no header", exchange.Check{Status: ok, Header: header}, 404, exchange.Service4xx, "-", exchange.CheckFailed},
		{"no body", exchange.Check{Body: []byte("x")}, 204, exchange.Good, "-", exchange.CheckFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p exchange.Progress
			if tt.value != "-" {
				tt.check.Field(&p, []byte(tt.value))
			}
			if got := tt.check.Class(&p, tt.status, tt.class); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// A check is part of receiving an answer, and so allocates nothing.
func TestCheckDoesNotAllocate(t *testing.T) {
	wanted := strings.Repeat("long", 32)
	check := &exchange.Check{
		Status: []exchange.StatusRange{{From: 200, To: 200}},
		Header: exchange.Field{Name: "etag", Value: wanted}, Body: []byte(wanted),
	}
	value, body := []byte("W/"+wanted), []byte("before "+wanted+" after")
	if n := testing.AllocsPerRun(100, func() {
		var p exchange.Progress
		check.Field(&p, value)
		check.Data(&p, body[:40])
		check.Data(&p, body[40:])
		if got := check.Class(&p, 200, exchange.Good); got != exchange.Good {
			t.Fatalf("%s, want %s", got, exchange.Good)
		}
	}); n != 0 {
		t.Errorf("%v allocations for the check of an answer, want none", n)
	}
}

// BenchmarkCheckBody looks for a part at the end of a body of 16 KiB that comes
// in pieces of 4 KiB.
func BenchmarkCheckBody(b *testing.B) {
	body := append(bytes.Repeat([]byte(`{"id": 17, "name": "thing"},`), 585), `"total": 585`...)
	check := &exchange.Check{Body: []byte(`"total": 585`)}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var p exchange.Progress
		for rest := body; len(rest) > 0; rest = rest[min(4096, len(rest)):] {
			check.Data(&p, rest[:min(4096, len(rest))])
		}
		if check.Open(&p) {
			b.Fatal("not found")
		}
	}
}
