package feed_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/feed"
	"github.com/sailplan-io/sailplan/scenarios"
)

// write writes a feed file.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func options(file string, order scenarios.FeedOrder, requests ...scenarios.Request) feed.Options {
	return feed.Options{Feed: scenarios.Feed{File: file, Order: order}, Requests: requests}
}

func open(t testing.TB, o feed.Options) *feed.Feed {
	t.Helper()
	f, err := feed.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// next waits for the next variation.
func next(f *feed.Feed, kind int) (*exchange.Variation, error) {
	for {
		v, err := f.Next(kind)
		if !errors.Is(err, feed.ErrNotReady) {
			return v, err
		}
		runtime.Gosched()
	}
}

// paths returns the paths of a feed's requests until its end, at most so many.
func paths(t testing.TB, f *feed.Feed, most int) []string {
	t.Helper()
	var all []string
	for len(all) < most {
		v, err := next(f, 0)
		if errors.Is(err, feed.ErrEnd) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Clone(v.Path))
	}
	return all
}

// spell writes a variation in one line.
func spell(v *exchange.Variation) string {
	if v == nil {
		return "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "path=%s", v.Path)
	for _, f := range v.Fields {
		fmt.Fprintf(&b, " %s=%s", f.Name, f.Value)
	}
	if v.HasBody {
		fmt.Fprintf(&b, " body=%s", v.Body)
	}
	return b.String()
}

func TestExpansion(t *testing.T) {
	const csv = "id,name,list\n7,\"O'Neil \"\"x\"\" / ä\",\"[1,2]\"\n"
	const jsonl = `{"id": 7, "name": "O'Neil \"x\" / \u00e4", "list": [1,2]}` + "\n"
	jsonType := map[string]string{"content-type": "application/json"}
	tests := []struct {
		name    string
		request scenarios.Request
		want    string
	}{
		{"path", scenarios.Request{Path: "/u/${id}?q=${name}"}, "path=/api/u/7?q=O%27Neil%20%22x%22%20%2F%20%C3%A4"},
		{"nothing varies", scenarios.Request{Path: "/u"}, "nothing"},
		{"escaped sign", scenarios.Request{Path: "/$${id}"}, "nothing"},
		{"header", scenarios.Request{Path: "/", Headers: map[string]string{"X-User": " ${id}-${name} "}}, `path= x-user=7-O'Neil "x" / ä`},
		{"text body", scenarios.Request{Path: "/", Body: "${name};"}, `path= content-length=16 body=O'Neil "x" / ä;`},
		{"JSON body by its type", scenarios.Request{Path: "/", Headers: jsonType, Body: ` "a\"${name}${id}"`}, `path= content-length=24 body= "a\"O'Neil \"x\" / ä7"`},
		{"JSON body by its look", scenarios.Request{Path: "/", Body: `{"n": "${name}", "i": ${id}, "l": ${list}, "k${id}": 1}`}, `path= content-length=55 body={"n": "O'Neil \"x\" / ä", "i": 7, "l": [1,2], "k7": 1}`},
		{"looks like JSON but is not", scenarios.Request{Path: "/", Headers: map[string]string{"Content-Type": "text/plain"}, Body: `{"${name}"}`}, `path= content-length=19 body={"O'Neil "x" / ä"}`},
		{"literal beside a value", scenarios.Request{Path: "/${id}$${name}"}, "path=/api/7${name}"},
	}
	for _, file := range []string{write(t, "u.csv", csv), write(t, "u.jsonl", jsonl), write(t, "bom.csv", "\ufeff"+csv), write(t, "bom.jsonl", "\ufeff\n"+jsonl)} {
		for _, tt := range tests {
			t.Run(filepath.Base(file)+"/"+tt.name, func(t *testing.T) {
				o := options(file, scenarios.FeedOnce, tt.request)
				o.Prefix = "/api"
				v, err := next(open(t, o), 0)
				if err != nil {
					t.Fatal(err)
				}
				if got := spell(v); got != tt.want {
					t.Errorf("\n got %s\nwant %s", got, tt.want)
				}
			})
		}
	}
}

func TestQuoted(t *testing.T) {
	file := write(t, "u.jsonl", `{"v": "\\ \" \n\t\u0001 \u00e9 \ud83d\udea2 </"}`)
	v, err := next(open(t, options(file, scenarios.FeedOnce, scenarios.Request{Path: "/", Body: `{"v": "${v}"}`})), 0)
	if err != nil {
		t.Fatal(err)
	}
	var back struct{ V string }
	if err := json.Unmarshal(v.Body, &back); err != nil || back.V != "\\ \" \n\t\x01 é \U0001f6a2 </" {
		t.Errorf("got body %s, which reads as %q, error %v", v.Body, back.V, err)
	}
}

func TestCalls(t *testing.T) {
	o := options(write(t, "u.csv", "id,name\n7,\"a\"\"b\"\n8,bad\n"), scenarios.FeedOnce,
		scenarios.Request{Path: "/x.Y/Z", GRPC: &scenarios.Call{Method: "x.Y/Z", Message: `{"n": "${name}", "i": ${id}}`}})
	if _, err := feed.Open(t.Context(), o); err == nil {
		t.Error("no error without an encoder")
	}
	o.Encode = func(kind int, out, message []byte) ([]byte, error) {
		if strings.Contains(string(message), "bad") {
			return out, errors.New("no such thing")
		}
		return fmt.Appendf(out, "%d<%s>", kind, message), nil
	}
	f := open(t, o)
	v, err := next(f, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := spell(v), `path= body=0<{"n": "a\"b", "i": 7}>`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	for range 2 { // the error stays
		if _, err := next(f, 0); err == nil || !strings.HasSuffix(err.Error(), "u.csv:3: no such thing") {
			t.Errorf("got error %v, want the line and the encoder's", err)
		}
	}
}

// many are rows with an id each, as CSV.
func many(n int, padding string) string {
	var b strings.Builder
	b.WriteString("id,padding\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,%s\n", i, padding)
	}
	return b.String()
}

func TestOrder(t *testing.T) {
	request := scenarios.Request{Path: "/${id}"}
	padded := scenarios.Request{Path: "/${id}", Headers: map[string]string{"x": "${padding}"}}
	for _, tt := range []struct {
		name          string
		rows, workers int
		padding       string
		request       scenarios.Request
	}{
		{"few", 3, 1, "", request},
		{"fewer than workers", 2, 5, "", request},
		{"shared", 1001, 3, "", request},
		{"larger than what is kept", 60_000, 2, strings.Repeat("x", 100), padded},
	} {
		file := write(t, "u.csv", many(tt.rows, tt.padding))
		for worker := range tt.workers {
			t.Run(fmt.Sprintf("%s, worker %d", tt.name, worker), func(t *testing.T) {
				o := options(file, scenarios.FeedOnce, tt.request)
				o.Worker, o.Workers = worker, tt.workers
				var want []string
				for i := worker; i < tt.rows; i += tt.workers {
					want = append(want, fmt.Sprintf("/%d", i))
				}
				if got := paths(t, open(t, o), tt.rows+1); !slices.Equal(got, want) {
					t.Errorf("once: got %d rows, want %d: %.60v …", len(got), len(want), got)
				}
				o.Feed.Order = scenarios.FeedInTurn
				want = want[:0]
				for i := worker; len(want) < 2*tt.rows; i += tt.workers {
					want = append(want, fmt.Sprintf("/%d", i%tt.rows))
				}
				if got := paths(t, open(t, o), 2*tt.rows); !slices.Equal(got, want) {
					t.Errorf("in turn: got %.60v …, want %.60v …", got, want)
				}
			})
		}
	}
}

func TestBadFiles(t *testing.T) {
	request := scenarios.Request{Path: "/${id}", Headers: map[string]string{"x-n": "${name}"}, Body: `{"a": ${value}}`}
	long := strings.Repeat("x", 2<<20)
	for _, tt := range []struct{ name, file, text, want string }{
		{"empty", "u.csv", "", "u.csv:1: the header line is missing"},
		{"header alone", "u.csv", "id,name,value\n", "u.csv: there are no rows"},
		{"column missing", "u.csv", "id,name\n1,2\n", `u.csv:1: there is no column "value"`},
		{"two of a name", "u.csv", "id,name,value,id\n1,2,3,4\n", `u.csv:1: two columns are called "id"`},
		{"short row", "u.csv", "id,name,value\n1,2,3\n1,2\n", "u.csv:3: wrong number of fields"},
		{"bare quote", "u.csv", "id,name,value\n1,2,3\n\n1,a\"b,3\n", `u.csv:4: bare "`},
		{"open quote", "u.csv", "id,name,value\n1,2,3\n1,\"" + long, "u.csv:3: the row has more than 1048576 bytes"},
		{"line break in a header", "u.csv", "id,name,value\n1,\"a\r\nevil: 1\",3\n", "u.csv:2: ${name}: a line break"},
		{"no JSON value", "u.csv", "id,name,value\n1,2,3\n1,2,abc\n", "u.csv:3: ${value}: not a JSON value"},
		{"empty", "u.jsonl", "", "u.jsonl: there are no rows"},
		{"blank lines alone", "u.jsonl", "\n \n", "u.jsonl: there are no rows"},
		{"no object", "u.jsonl", "\n[1]\n", "u.jsonl:2: a JSON object is expected"},
		{"null", "u.jsonl", "null\n", "u.jsonl:1: a JSON object is expected, found null"},
		{"member missing", "u.jsonl", `{"id":1,"name":"x","value":1}` + "\n" + `{"id":1,"value":1}` + "\n", `u.jsonl:2: ${name}: there is no member "name"`},
		{"two objects in a line", "u.jsonl", `{"id":1,"name":"x","value":1}{}` + "\n", "u.jsonl:1: a JSON object is expected"},
		{"NUL in a header", "u.jsonl", `{"id":1,"name":"a\u0000","value":1}`, "u.jsonl:1: ${name}: a line break or another control character"},
		{"long line", "u.jsonl", `{"id": "` + long, "u.jsonl:1: the row has more than"},
	} {
		t.Run(tt.file+"/"+tt.name, func(t *testing.T) {
			f, err := feed.Open(t.Context(), options(write(t, tt.file, tt.text), scenarios.FeedOnce, request))
			for err == nil {
				_, err = next(f, 0)
			}
			if f != nil {
				f.Close()
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q in it", err, tt.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
	if _, err := feed.Open(t.Context(), options("no-such.csv", scenarios.FeedOnce, request)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v, want one of a file that is not there", err)
	}
}

func TestFixed(t *testing.T) {
	in := []scenarios.Request{
		{Path: "/${id}", Body: "$${x}", Headers: map[string]string{"a": "${id}", "b": "$${id}"}},
		{Path: "/a", Body: "x${id}"},
		{Path: "/x.Y/Z", GRPC: &scenarios.Call{Message: `{"i": ${id}}`}},
	}
	got := feed.Fixed(in)
	if r := got[0]; r.Path != "" || r.Body != "${x}" || len(r.Headers) != 1 || r.Headers["b"] != "${id}" {
		t.Errorf("got %+v, want no path, the literal body and header b", r)
	}
	if r := got[1]; r.Path != "/a" || r.Body != "" {
		t.Errorf("got %+v, want the path and no body", r)
	}
	if r := got[2]; r.Path != "/x.Y/Z" || r.GRPC.Message != "" || in[2].GRPC.Message == "" {
		t.Errorf("got %+v, want the path and no message, and the plan as it was", r)
	}
}

func TestNothingIsReadWhenNothingVaries(t *testing.T) {
	f := open(t, options("no-such.csv", scenarios.FeedInTurn, scenarios.Request{Path: "/"}))
	if v, err := f.Next(0); v != nil || err != nil || f.Varies(0) {
		t.Errorf("got %v, error %v, want nothing", v, err)
	}
}

func TestClose(t *testing.T) {
	o := options(write(t, "u.csv", many(10_000, "")), scenarios.FeedInTurn, scenarios.Request{Path: "/${id}"})
	f, err := feed.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	f.Close() // waits for the reader, which waits for room
	f.Close()
	if _, err := f.Next(0); err == nil || errors.Is(err, feed.ErrNotReady) {
		t.Errorf("got error %v after Close, want one that stays", err)
	}
}

// large writes a file of some 30 MB.
func large(t testing.TB) (file string, rows int) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "large.csv")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "id,token")
	const rowsOf30MB = 300_000
	token := strings.Repeat("a", 93)
	for i := range rowsOf30MB {
		fmt.Fprintf(w, "%d,%s\n", i, token)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return file, rowsOf30MB
}

// TestMemoryIsFlat reads a file that is some 30 MB large, one and a half times.
func TestMemoryIsFlat(t *testing.T) {
	file, rows := large(t)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f := open(t, options(file, scenarios.FeedInTurn, scenarios.Request{Path: "/${id}", Headers: map[string]string{"authorization": "${token}"}}))
	for i := range rows * 3 / 2 {
		if _, err := next(f, 0); err != nil {
			t.Fatal(err)
		}
		if i%(rows/8) == rows/16 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			// What is kept of a file that turns out too large, and the batches.
			if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > 6<<20 {
				t.Fatalf("%d MiB more memory after %d rows", grown>>20, i)
			}
		}
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, `{"id": %d, "name": "user %d"}`+"\n", i, i)
	}
	f := open(t, options(write(t, "u.jsonl", b.String()), scenarios.FeedInTurn, varied()))
	for range 10_000 { // the file is read, and is kept now
		if _, err := next(f, 0); err != nil {
			t.Fatal(err)
		}
	}
	if got := testing.AllocsPerRun(10_000, func() {
		if _, err := next(f, 0); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations a request, want 0", got)
	}
}

func varied() scenarios.Request {
	return scenarios.Request{Path: "/users/${id}", Headers: map[string]string{"x-user": "${name}"}, Body: `{"user": "${name}", "id": ${id}}`}
}

func BenchmarkNext(b *testing.B) {
	for _, name := range []string{"kept.csv", "streamed.csv"} {
		b.Run(name, func(b *testing.B) {
			text, padding := "id,name,padding\n", ""
			if name == "streamed.csv" {
				padding = strings.Repeat("x", 100)
			}
			for i := range 100_000 {
				if padding == "" && i == 1000 {
					break
				}
				text += fmt.Sprintf("%d,user %d,%s\n", i, i, padding)
				if len(text) > 1<<20 && padding != "" {
					break
				}
			}
			if padding != "" {
				head, rest, _ := strings.Cut(text, "\n")
				text = head + "\n" + strings.Repeat(rest, 10)
			}
			r := varied()
			r.Headers["x-padding"] = "${padding}"
			f := open(b, options(write(b, name, text), scenarios.FeedInTurn, r))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := next(f, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
