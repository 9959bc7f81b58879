//go:build linux

package loadgen_test

import (
	"bufio"
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

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios"
)

// delayedEnv makes the test binary a server that delays its answers, and names the
// file into which it writes when it answered what.
const delayedEnv = "LOADGEN_TEST_DELAYED"

// delays returns the distribution of a path.
func delays(path string) func(*rand.Rand) time.Duration {
	const ms = float64(time.Millisecond)
	switch path {
	case "constant":
		return func(*rand.Rand) time.Duration { return 20 * time.Millisecond }
	case "bimodal":
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

// A server of the path /stalled/… delays as on /lognormal/…, and from the request
// stallAt on answers nobody for stallFor.
const (
	stallAt  = 10_000
	stallFor = 300 * time.Millisecond
)

// answered is what the delaying server knows of a request, by CLOCK_MONOTONIC: the
// client had the answer after Written and before Acknowledged.
type answered struct {
	ID           int64
	Written      int64 // just before the answer was written
	Acknowledged int64 // when the client's answer to the PING behind it was read
}

// monotonic returns what all processes of a machine agree on.
func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return now.Nano()
}

// preferred gives all threads of this process, and those to come, precedence over
// everybody else's until the returned function is called. Where that is not
// allowed it does nothing: the test then needs a machine that is not busy.
func preferred() (end func()) {
	set := func(attr unix.SchedAttr) {
		attr.Size = unix.SizeofSchedAttr
		threads, _ := os.ReadDir("/proc/self/task")
		for _, thread := range threads {
			if id, err := strconv.Atoi(thread.Name()); err == nil {
				_ = unix.SchedSetAttr(id, &attr, 0)
			}
		}
	}
	set(unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1})
	return func() { set(unix.SchedAttr{Policy: unix.SCHED_NORMAL}) }
}

// runDelayed serves until its input ends and the connections are closed, and logs
// when it answered what.
func runDelayed(file string) {
	preferred()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(listener.Addr())
	d := &delayer{source: rand.New(rand.NewPCG(1, 2)), log: map[int64]*answered{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { d.serve(conn) })
		}
	})
	_, _ = os.Stdin.Read(make([]byte, 1))
	_ = listener.Close()
	serving.Wait()
	var log []answered
	for _, a := range d.log {
		log = append(log, *a)
	}
	if out, err := os.Create(file); err == nil {
		_ = binary.Write(out, binary.LittleEndian, log)
		_ = out.Close()
	}
}

// delayer answers each stream after a delay.
type delayer struct {
	mu      sync.Mutex // guards all below
	source  *rand.Rand
	stalled time.Time // until then nobody gets an answer
	log     map[int64]*answered
}

func (d *delayer) serve(conn net.Conn) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	s := &delayed{delayer: d, out: bufio.NewWriter(conn)}
	s.framer = http2.NewFramer(s.out, conn)
	s.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = s.framer.WriteSettings()
	_ = s.out.Flush()
	for {
		frame, err := s.framer.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.PingFrame:
			now := monotonic()
			d.mu.Lock()
			d.log[int64(binary.LittleEndian.Uint64(frame.Data[:]))].Acknowledged = now
			d.mu.Unlock()
		case *http2.MetaHeadersFrame:
			path, text, _ := strings.Cut(strings.TrimPrefix(frame.PseudoValue("path"), "/"), "/")
			id, _ := strconv.ParseInt(text, 10, 64)
			stream := frame.StreamID
			d.mu.Lock()
			if path == "stalled" && id == stallAt {
				d.stalled = time.Now().Add(stallFor)
			}
			delay := delays(path)(d.source)
			d.mu.Unlock()
			time.AfterFunc(delay, func() { s.answer(stream, id) })
		}
	}
}

// delayed is one connection of a delayer.
type delayed struct {
	*delayer
	framer  *http2.Framer
	writing sync.Mutex // guards the framer's writing side
	out     *bufio.Writer
}

// answer writes an answer, with a PING behind it that the client answers when it
// has read both.
func (s *delayed) answer(stream uint32, id int64) {
	s.mu.Lock()
	if left := time.Until(s.stalled); left > 0 {
		s.mu.Unlock()
		time.AfterFunc(left, func() { s.answer(stream, id) })
		return
	}
	entry := &answered{ID: id}
	s.log[id] = entry
	s.mu.Unlock()
	var mark [8]byte
	binary.LittleEndian.PutUint64(mark[:], uint64(id))
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte{0x89}, EndHeaders: true, EndStream: true}) // 204
	_ = s.framer.WritePing(false, mark)
	entry.Written = monotonic()
	_ = s.out.Flush()
}

// TestDelays holds every quantile from p1 to p99.99 between two truths that the
// server knows and the generator's own clock readings have no part in: from the
// intended instant by the exact schedule until just before the answer was written,
// and until the generator had acknowledged it. Whatever the machine does to either
// process is in both, so that every run has to lie between. They are apart by what
// the way back takes: so in one run of a few all quantiles have to lie within
// 1 % + 100 µs above the first.
//
// In the case batches the generator reads only when the next batch leaves, and ends
// are what the kernel says.
//
// In the case stalled there are few streams and the server stands still meanwhile,
// so that hundreds of requests are sent long after they were intended.
func TestDelays(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes the way to the server and back longer than what is measured")
	}
	defer preferred()()
	for _, name := range []string{"constant", "bimodal", "lognormal", "stalled", "batches"} {
		t.Run(name, func(t *testing.T) {
			const runs = 6
			for attempt := 1; ; attempt++ {
				far := compareDelays(t, name)
				if len(far) == 0 {
					return
				}
				t.Logf("run %d: %d quantiles are off: %s", attempt, len(far), strings.Join(far[:min(5, len(far))], "; "))
				if attempt == runs {
					t.Fatal("in no run were all quantiles as near to what the server knows as they should be")
				}
			}
		})
	}
}

// compareDelays makes a run. It fails the test when a quantile can't be true, and
// returns those that are further from the truth than they should be.
func compareDelays(t *testing.T, path string) (far []string) {
	const n = 40_000
	rate, apart := 5000, 100*time.Microsecond // the most at which each arrival leaves by itself
	if path == "batches" {
		// Answers come together with those that are read until the next batch leaves.
		rate, apart = 20000, 1200*time.Microsecond
	}
	measured, truth := measureDelays(t, path, n, rate)
	written, acknowledged := make([]int64, n), make([]int64, n)
	for i, a := range truth {
		written[i], acknowledged[i] = a.Written, a.Acknowledged
	}
	slices.Sort(written)
	slices.Sort(acknowledged)
	quantiles := []float64{99.5, 99.9, 99.95, 99.99}
	for q := 1.0; q < 100; q++ {
		quantiles = append(quantiles, q)
	}
	const anchoring = 2e3 // nanoseconds between the readings of two clocks
	for _, q := range quantiles {
		rank := int(math.Round(q*n/100)) - 1
		least, most := float64(written[rank]), float64(acknowledged[rank])
		got := float64(measured.ValueAtPercentile(q)) // up to 0.1 % above the value itself
		if got < least-anchoring || got > 1.001*most+anchoring {
			t.Errorf("p%g is %s, which by the server lies from %s to %s", q, time.Duration(got), time.Duration(least), time.Duration(most))
		}
		if got > 1.01*least+float64(apart) {
			far = append(far, fmt.Sprintf("p%g is %s, by the server %s", q, time.Duration(got), time.Duration(least)))
		}
	}
	return far
}

// measureDelays sends n requests and returns our histogram of their latencies, and
// the server's instants as times since the intended ones.
func measureDelays(t *testing.T, path string, n, rate int) (*hdrhistogram.Histogram, []answered) {
	dir := t.TempDir()
	rows, log := filepath.Join(dir, "rows.csv"), filepath.Join(dir, "log")
	var text strings.Builder
	text.WriteString("id\n")
	for i := range n {
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
		if path == "stalled" {
			plan.Connections.StreamsPerConnection = 32
		}
		plan.Requests[0].Path = "/" + path + "/${id}"
		plan.Feed = &scenarios.Feed{File: rows, Order: scenarios.FeedInTurn}
		base, anchor := time.Now(), monotonic()
		for range 1000 { // until nothing came between
			before := monotonic()
			base = time.Now()
			if anchor = monotonic(); anchor-before < 2000 {
				break
			}
		}
		facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
			Process: scenarios.Constant, Rate: scenarios.PerSecond(float64(rate)), Duration: time.Duration(n) * time.Second / time.Duration(rate),
		}, sink, loadgen.Options{Base: base})
		if err != nil {
			t.Fatal(err)
		}
		checkAccounts(t, facts, sink)
		start = anchor + int64(facts.Start)
	})
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]answered, len(content)/binary.Size(answered{}))
	if _, err := binary.Decode(content, binary.LittleEndian, entries); err != nil {
		t.Fatal(err)
	}
	if len(entries) != n || sink.all.Latency.TotalCount() != int64(n) {
		t.Fatalf("the server answered %d requests, %d latencies were recorded, want %d", len(entries), sink.all.Latency.TotalCount(), n)
	}
	for i := range entries {
		e := &entries[i]
		if e.Acknowledged < e.Written {
			t.Fatalf("request %d was not acknowledged", e.ID)
		}
		intended := start + e.ID*int64(time.Second)/int64(rate)
		e.Written -= intended
		e.Acknowledged -= intended
	}
	return sink.all.Latency, entries
}
