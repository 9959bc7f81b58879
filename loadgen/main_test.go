//go:build linux

package loadgen_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// serverEnv makes the test binary a server, for tests that count what the
// generator alone allocates.
const serverEnv = "LOADGEN_TEST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		runServer()
		return
	}
	if file := os.Getenv(delayedEnv); file != "" {
		runDelayed(file)
		return
	}
	if address := os.Getenv(generatorEnv); address != "" {
		runGenerator(address)
		return
	}
	if address := os.Getenv(memoryEnv); address != "" {
		runMemory(address)
		return
	}
	if address := os.Getenv(manyEnv); address != "" {
		runMany(address)
		return
	}
	before := descriptors()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		if after := descriptors(); after > before+3 { // the runtime's poller opens its own
			fmt.Fprintf(os.Stderr, "%d file descriptors are open, %d were\n", after, before)
			code = 1
		}
	}
	os.Exit(code)
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// runServer serves until its standard input ends.
func runServer() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(listener.Addr())
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	body := make([]byte, 1024)
	server := &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })}
	go func() { _ = server.Serve(listener) }()
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// serverProcess starts a server in a process of its own.
func serverProcess(t testing.TB) string {
	address, _ := another(t, serverEnv+"=1")
	return address
}

// another starts this program with a setting of the environment that makes it
// another, which says its address first and lives until its input ends.
func another(t testing.TB, environment string) (address string, process *os.Process) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), environment)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), command.Process
}

// serve starts an HTTP/2 server in cleartext and returns its address.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: &protocols}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return listener.Addr().String()
}

// planFor returns a plan for a server in cleartext.
func planFor(address string) scenarios.Plan {
	return scenarios.Plan{
		Name:        "test",
		Endpoint:    scenarios.Endpoint{Scheme: "http", Authority: address, Address: address, Protocol: scenarios.ProtocolH2C},
		Connections: scenarios.Connections{Count: 4, StreamsPerConnection: 16, ConnectTimeout: 5 * time.Second},
		Requests:    []scenarios.Request{{Name: "get", Weight: 1, Method: "GET", Path: "/"}},
		Timeout:     5 * time.Second,
	}
}

// collect keeps what a sink is told.
type collect struct {
	intervals             []record.Interval // without their histograms
	latency, service, lag int64             // recorded values
	all                   record.RequestHistograms
	byRequest             map[string]int64
}

func (c *collect) Interval(i record.Interval) {
	if c.byRequest == nil {
		c.byRequest = map[string]int64{}
		c.all = record.RequestHistograms{Latency: record.NewHistogram(), Service: record.NewHistogram(), SendLag: record.NewHistogram()}
	}
	for _, r := range i.ByRequest {
		c.latency += r.Latency.TotalCount()
		c.service += r.Service.TotalCount()
		c.lag += r.SendLag.TotalCount()
		c.all.Latency.Merge(r.Latency)
		c.all.Service.Merge(r.Service)
		c.all.SendLag.Merge(r.SendLag)
		c.byRequest[r.Request] += r.Latency.TotalCount()
	}
	i.ByRequest = nil
	c.intervals = append(c.intervals, i)
}

// checkAccounts holds a phase's facts and all its intervals to the identities of
// record.Counts, and to each other.
func checkAccounts(t *testing.T, facts record.Phase, sink *collect) {
	t.Helper()
	check := func(what string, c record.Counts) {
		t.Helper()
		if c.Intended != c.Sent+c.Shed+c.Waiting {
			t.Errorf("%s: intended %d ≠ sent %d + shed %d + waiting %d", what, c.Intended, c.Sent, c.Shed, c.Waiting)
		}
		if c.Sent != c.Answered+c.Failed+c.TimedOut+c.InFlight {
			t.Errorf("%s: sent %d ≠ answered %d + failed %d + timed out %d + in flight %d", what, c.Sent, c.Answered, c.Failed, c.TimedOut, c.InFlight)
		}
	}
	check("the phase", facts.Counts)
	at := facts.Start
	for i, interval := range sink.intervals {
		check(fmt.Sprintf("interval %d", i), interval.Counts)
		if interval.Start != at || interval.End <= interval.Start {
			t.Errorf("interval %d from %s to %s, want one from %s", i, interval.Start, interval.End, at)
		}
		at = interval.End
	}
	if at != facts.End {
		t.Errorf("the last interval ends at %s, the phase at %s", at, facts.End)
	}
	if last := sink.intervals[len(sink.intervals)-1].Counts; last != facts.Counts {
		t.Errorf("the last interval has %+v, the phase %+v", last, facts.Counts)
	}
	c := facts.Counts
	if sink.latency != c.Answered+c.TimedOut || sink.service != c.Answered || sink.lag != c.Sent {
		t.Errorf("recorded %d latencies, %d service times, %d lags; want %d, %d, %d", sink.latency, sink.service, sink.lag, c.Answered+c.TimedOut, c.Answered, c.Sent)
	}
	byStatus, bad := int64(0), int64(0)
	for status, n := range facts.Statuses {
		byStatus += n
		if status >= 500 || status == 429 {
			bad += n
		}
	}
	if byStatus != c.Answered || bad != c.Bad {
		t.Errorf("%d answers by status, %d of them bad; want %d and %d", byStatus, bad, c.Answered, c.Bad)
	}
	e := facts.Errors
	if got := e["shed"] + e["shed-waiting"] + e["shed-interrupted"]; got != c.Shed {
		t.Errorf("%d shed by class, want %d: %v", got, c.Shed, e)
	}
	if e["timed-out"] != c.TimedOut {
		t.Errorf("%d timed out by class, want %d: %v", e["timed-out"], c.TimedOut, e)
	}
}
