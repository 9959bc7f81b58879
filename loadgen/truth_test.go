//go:build linux

package loadgen_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios"
)

// delayedEnv makes the test binary a server that delays its answers, and names the
// file into which it writes how long each was delayed.
const delayedEnv = "LOADGEN_TEST_DELAYED"

// delays returns the distribution of a path.
func delays(path string) func(*rand.Rand) time.Duration {
	const ms = float64(time.Millisecond)
	switch path {
	case "/constant":
		return func(*rand.Rand) time.Duration { return 20 * time.Millisecond }
	case "/bimodal":
		return func(r *rand.Rand) time.Duration {
			if r.Float64() < 0.1 {
				return 80 * time.Millisecond
			}
			return 10 * time.Millisecond
		}
	default: // lognormal: median 10 ms, p99 50 ms
		sigma := math.Log(5) / 2.326347874
		return func(r *rand.Rand) time.Duration {
			return time.Duration(10 * ms * math.Exp(sigma*r.NormFloat64()))
		}
	}
}

// answered is what the delaying server logs of a request.
type answered struct{ ID, At int64 } // at: CLOCK_MONOTONIC, just before the answer was written

// monotonic returns what all processes of a machine agree on.
func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return now.Nano()
}

// runDelayed serves until its input ends, and logs when it answered what.
func runDelayed(file string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(listener.Addr())
	d := &delayer{source: rand.New(rand.NewPCG(1, 2))}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go d.serve(conn)
		}
	}()
	_, _ = os.Stdin.Read(make([]byte, 1))
	d.mu.Lock()
	defer d.mu.Unlock()
	if out, err := os.Create(file); err == nil {
		_ = binary.Write(out, binary.LittleEndian, d.log)
		_ = out.Close()
	}
}

// delayer answers each stream after a delay.
type delayer struct {
	mu     sync.Mutex // guards all below
	source *rand.Rand
	log    []answered
}

func (d *delayer) serve(conn net.Conn) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var writing sync.Mutex // guards the framer's writing side
	_ = framer.WriteSettings()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		request, ok := frame.(*http2.MetaHeadersFrame)
		if !ok {
			continue
		}
		path, text, _ := strings.Cut(strings.TrimPrefix(request.PseudoValue("path"), "/"), "/")
		id, _ := strconv.ParseInt(text, 10, 64)
		stream := request.StreamID
		d.mu.Lock()
		delay := delays("/" + path)(d.source)
		d.mu.Unlock()
		time.AfterFunc(delay, func() {
			writing.Lock()
			at := monotonic()
			_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte{0x89}, EndHeaders: true, EndStream: true}) // 204
			writing.Unlock()
			d.mu.Lock()
			d.log = append(d.log, answered{id, at})
			d.mu.Unlock()
		})
	}
}

// TestDelays: every quantile lies within 1 % + 100 µs of what the server knows,
// which is when it answered each request, and when that was intended by the exact
// schedule. How late the machine lets the server's timers fire so makes no
// difference. A run in which the machine kept the generator from its processor
// tells nothing and is repeated.
func TestDelays(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes the way to the server and back longer than what is measured")
	}
	for _, name := range []string{"constant", "bimodal", "lognormal"} {
		t.Run(name, func(t *testing.T) {
			const runs = 4
			disturbed := 0
			for attempt := 1; ; attempt++ {
				complaints, waited := delayed(t, "/"+name)
				if len(complaints) == 0 {
					return
				}
				t.Logf("run %d, in which the generator waited for a processor %.2g of the time: %s", attempt, waited, strings.Join(complaints, "; "))
				if waited > 0.04 {
					disturbed++
				}
				switch {
				case attempt < runs:
				case disturbed > 0:
					t.Skip("the machine was too busy with other things in every run")
				default:
					t.Fatal("no run came near what the server knows")
				}
			}
		})
	}
}

func delayed(t *testing.T, path string) (complaints []string, waited float64) {
	const rate, seconds = 1000, 3
	dir := t.TempDir()
	rows, log := filepath.Join(dir, "rows.csv"), filepath.Join(dir, "log")
	var text strings.Builder
	text.WriteString("id\n")
	for i := range rate * seconds {
		fmt.Fprintln(&text, i)
	}
	if err := os.WriteFile(rows, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	sink := &collect{}
	var start int64
	t.Run("run", func(t *testing.T) { // the server ends, and its log is whole, with this test
		address, _ := another(t, delayedEnv+"="+log)
		plan := planFor(address)
		plan.Connections.StreamsPerConnection = 100
		plan.Requests[0].Path = path + "/${id}"
		plan.Feed = &scenarios.Feed{File: rows, Order: scenarios.FeedInTurn}
		base, anchor := time.Now(), monotonic()
		facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
			Process: scenarios.Constant, Rate: scenarios.PerSecond(rate), Duration: seconds * time.Second,
		}, sink, loadgen.Options{Base: base})
		if err != nil {
			t.Fatal(err)
		}
		checkAccounts(t, facts, sink)
		start = anchor + int64(facts.Start)
		waited = facts.Generator.RunDelaySeconds / (facts.End - facts.Start).Seconds()
	})
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]answered, len(content)/16)
	if _, err := binary.Decode(content, binary.LittleEndian, entries); err != nil {
		t.Fatal(err)
	}
	if n := int64(len(entries)); n != rate*seconds || n != sink.all.Latency.TotalCount() {
		t.Fatalf("the server answered %d requests, %d latencies were recorded, want %d", n, sink.all.Latency.TotalCount(), rate*seconds)
	}
	truth := make([]int64, 0, len(entries))
	for _, e := range entries {
		truth = append(truth, e.At-(start+e.ID*int64(time.Second)/rate))
	}
	slices.Sort(truth)
	for _, q := range []float64{1, 5, 10, 25, 50, 75, 85, 95, 99, 99.9, 99.99} {
		want := truth[int(math.Round(q*float64(len(truth))/100))-1]
		got := sink.all.Latency.ValueAtPercentile(q)
		if off := math.Abs(float64(got - want)); off > 0.01*float64(want)+100e3 {
			complaints = append(complaints, fmt.Sprintf("p%g is %s, by the server %s", q, time.Duration(got), time.Duration(want)))
		}
	}
	return complaints, waited
}
