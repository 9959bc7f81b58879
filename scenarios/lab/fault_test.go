package lab_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab"
)

// bench starts a lab of real Envoys whose services take faults.
func bench(t *testing.T, change func(*lab.Config)) *lab.Lab {
	t.Helper()
	config := labConfig(t, envoyFor(t, lab.KindEnvoy))
	config.Bench.Faults = true
	config.Lab.Service.Latency = scenarios.LatencyShape{}
	if change != nil {
		change(&config)
	}
	return startLab(t, config)
}

func setFault(t *testing.T, l *lab.Lab, replica int, fault lab.Fault) {
	t.Helper()
	if err := l.SetFault(t.Context(), replica, fault); err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, l *lab.Lab, replica int) lab.ServiceState {
	t.Helper()
	s, err := l.ServiceState(t.Context(), replica, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFaultOfOneReplica(t *testing.T) {
	for _, direct := range []bool{false, true} {
		l := bench(t, func(c *lab.Config) { c.Bench.Direct = direct })
		setFault(t, l, 1, lab.Fault{Status: 500})
		c, statuses := client(t, l.Endpoint()), map[string]int{}
		for range 40 {
			answer, _, err := get(t.Context(), c, l.Endpoint().Scheme+"://"+l.Endpoint().Address)
			if err != nil {
				t.Fatal(err)
			}
			statuses[answer.Header.Get(lab.BackendHeader)+" "+answer.Status]++
		}
		if len(statuses) != 2 || statuses["0 200 OK"] == 0 || statuses["1 500 Internal Server Error"] == 0 {
			t.Errorf("direct %t: got answers %v, want 200 of replica 0 and 500 of replica 1", direct, statuses)
		}
		setFault(t, l, 1, lab.Fault{})
		if answer, _, err := get(t.Context(), c, l.Endpoint().Scheme+"://"+l.Endpoint().Address); err != nil || answer.StatusCode != 200 {
			t.Errorf("direct %t: after the fault: %v, %v", direct, answer, err)
		}
		if direct != (len(l.Members()) == 3) {
			t.Errorf("direct %t: got %d members", direct, len(l.Members()))
		}
	}
}

// Both protocols hold answers for as long as the fault says, and count alike.
func TestFaultHolds(t *testing.T) {
	for _, http1 := range []bool{false, true} {
		l := bench(t, func(c *lab.Config) { c.Bench.HTTP1, c.Lab.Service.Replicas = http1, 1 })
		const hold, n = 150 * time.Millisecond, 6
		before := state(t, l, 0)
		setFault(t, l, 0, lab.Fault{Hold: hold})
		c, ended := client(t, l.Endpoint()), make(chan error, n)
		begin := time.Now()
		for range n {
			go func() {
				_, body, err := get(t.Context(), c, l.Endpoint().Scheme+"://"+l.Endpoint().Address)
				if err == nil && len(body) != 1024 {
					err = errors.New("a body of the wrong length")
				}
				ended <- err
			}()
		}
		for range n {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(begin); took < hold {
			t.Errorf("http1 %t: the answers took %s, want at least %s", http1, took, hold)
		}
		s := state(t, l, 0)
		if got := s.Requests - before.Requests; got != n || s.Answered-before.Answered != n || s.InFlight != 0 || s.PeakInFlight != n {
			t.Errorf("http1 %t: got %+v, want %d requests, all answered, at once", http1, s, n)
		}
		if perConnection := s.PeakStreams; http1 != (perConnection == 1) || !http1 && perConnection > n {
			t.Errorf("http1 %t: got %d requests at once on a connection", http1, perConnection)
		}
	}
}

// A slot works on one request at a time, and in order: three take three times as long.
func TestFaultSlots(t *testing.T) {
	l := bench(t, func(c *lab.Config) { c.Lab.Service.Replicas = 1 })
	const hold = 100 * time.Millisecond
	setFault(t, l, 0, lab.Fault{Hold: hold, Slots: 1})
	c, ended := client(t, l.Endpoint()), make(chan time.Duration, 3)
	begin := time.Now()
	for range 3 {
		go func() {
			if _, _, err := get(t.Context(), c, l.Endpoint().Scheme+"://"+l.Endpoint().Address); err != nil {
				t.Error(err)
			}
			ended <- time.Since(begin)
		}()
	}
	for i := range 3 {
		if took := <-ended; took < time.Duration(i+1)*hold {
			t.Errorf("answer %d took %s, want at least %s", i, took, time.Duration(i+1)*hold)
		}
	}
}

// What waits for a slot and is given up is left out, in both protocols: who comes after
// waits for the request that is worked on and not for those.
func TestFaultSlotsLeaveOutWhatIsGivenUp(t *testing.T) {
	for _, http1 := range []bool{false, true} {
		l := bench(t, func(c *lab.Config) { c.Bench.HTTP1, c.Lab.Service.Replicas = http1, 1 })
		const hold, n = 400 * time.Millisecond, 10
		setFault(t, l, 0, lab.Fault{Hold: hold, Slots: 1})
		c, url := client(t, l.Endpoint()), l.Endpoint().Scheme+"://"+l.Endpoint().Address
		first := make(chan error, 1)
		go func() {
			_, _, err := get(t.Context(), c, url)
			first <- err
		}()
		for state(t, l, 0).InFlight == 0 {
			runtime.Gosched()
		}
		impatient, stop := context.WithTimeout(t.Context(), hold/4)
		defer stop()
		var givenUp sync.WaitGroup
		for range n {
			givenUp.Go(func() {
				if _, _, err := get(impatient, c, url); err == nil {
					t.Error("a request was answered though the slot was taken")
				}
			})
		}
		givenUp.Wait()
		begin := time.Now()
		if _, _, err := get(t.Context(), c, url); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > (n/2)*hold {
			t.Errorf("http1 %t: the next one took %s, as if those that were given up had been worked on", http1, took)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		if got := state(t, l, 0).Abandoned; got != n {
			t.Errorf("http1 %t: %d were given up, want %d", http1, got, n)
		}
	}
}

func TestFaultRefusesStreams(t *testing.T) {
	l := bench(t, func(c *lab.Config) { c.Bench.Direct = true })
	setFault(t, l, 0, lab.Fault{Refuse: true})
	setFault(t, l, 1, lab.Fault{Refuse: true})
	answer, _, err := get(t.Context(), client(t, l.Endpoint()), l.Endpoint().Scheme+"://"+l.Endpoint().Address)
	if err != nil || answer.StatusCode != 503 {
		t.Errorf("got %v, %v, want 503", answer, err)
	}
	if retried := stats(t, l.Members()[0])["cluster."+l.Members()[0].Cluster+".upstream_rq_retry"]; retried < 2 {
		t.Errorf("got %d retries, want Istio's 2", retried)
	}
}

// What a connection attempt meets, for each network, and that the port stays.
func TestFaultOfTheNetwork(t *testing.T) {
	l := bench(t, func(c *lab.Config) { c.Bench.Direct, c.Lab.Service.Replicas = true, 1 })
	gateway := l.Members()[0]
	hosts := func() string {
		transport := &http.Transport{DisableKeepAlives: true}
		defer transport.CloseIdleConnections()
		_, body, err := get(t.Context(), &http.Client{Transport: transport}, gateway.AdminURL+"/clusters")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(body) {
			if _, rest, found := strings.Cut(line, gateway.Cluster+"::127.0.0.1:"); found {
				port, _, _ := strings.Cut(rest, "::")
				return net.JoinHostPort("127.0.0.1", port)
			}
		}
		t.Fatal("the gateway knows no endpoint")
		return ""
	}
	address := hosts()
	read := func(nc net.Conn) error {
		if err := nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err := nc.Read(make([]byte, 1))
		return err
	}
	isTimeout := func(err error) bool {
		var netErr net.Error
		return errors.As(err, &netErr) && netErr.Timeout()
	}
	for _, test := range []struct {
		network lab.Network
		met     func(net.Conn, error) bool
	}{
		{lab.NetworkRefuse, func(_ net.Conn, err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		{lab.NetworkIgnore, func(_ net.Conn, err error) bool { return isTimeout(err) }},
		{lab.NetworkSilent, func(nc net.Conn, err error) bool { return err == nil && isTimeout(read(nc)) }},
		{lab.NetworkClose, func(nc net.Conn, err error) bool { return err == nil && read(nc) != nil && !isTimeout(read(nc)) }},
		{lab.NetworkReset, func(nc net.Conn, err error) bool {
			return errors.Is(err, syscall.ECONNRESET) || err == nil && errors.Is(read(nc), syscall.ECONNRESET)
		}},
		{lab.NetworkFine, func(nc net.Conn, err error) bool {
			return err == nil && isTimeout(read(nc))
		}},
	} {
		setFault(t, l, 0, lab.Fault{Network: test.network})
		dialer := net.Dialer{Timeout: 300 * time.Millisecond}
		nc, err := dialer.DialContext(t.Context(), "tcp", address)
		if !test.met(nc, err) {
			t.Errorf("network %q: connecting met %v", test.network, err)
		}
		if err == nil {
			_ = nc.Close()
		}
	}
	answer, _, err := get(t.Context(), client(t, l.Endpoint()), l.Endpoint().Scheme+"://"+l.Endpoint().Address)
	if err != nil || answer.StatusCode != 200 {
		t.Errorf("after all faults: %v, %v", answer, err)
	}
}

func TestFaultsNeedFaults(t *testing.T) {
	l := startLab(t, labConfig(t, ""))
	if err := l.SetFault(context.Background(), 0, lab.Fault{Status: 500}); err == nil {
		t.Error("a lab without faults took one")
	}
	faulty := labConfig(t, "")
	faulty.Bench = lab.Bench{Faults: true, Direct: true}
	if _, err := lab.Start(t.Context(), faulty); err == nil {
		t.Error("the stand-in pretends to be a bench")
	}
	with := labConfig(t, "")
	with.Bench.Faults = true
	l = startLab(t, with)
	if err := l.SetFault(t.Context(), 0, lab.Fault{Status: 700}); err == nil {
		t.Error("status 700 was accepted")
	}
	u, err := url.Parse("http://" + l.Endpoint().Address)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(t.Context(), client(t, l.Endpoint()), u.String()); err != nil {
		t.Error(err)
	}
}
