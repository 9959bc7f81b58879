//go:build linux

package dial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen/dial"
)

// listen listens on several addresses of loopback at one port, and returns it.
func listen(t testing.TB, addresses ...string) string {
	t.Helper()
	first, err := net.Listen("tcp", addresses[0]+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	_, port, _ := net.SplitHostPort(first.Addr().String())
	for _, a := range addresses[1:] {
		l, err := net.Listen("tcp", a+":"+port)
		if err != nil {
			t.Skip("the port is taken at another address: ", err)
		}
		t.Cleanup(func() { _ = l.Close() })
	}
	return port
}

// silence makes an address at a port answer to nothing: its queue of connections
// is full and nobody takes any.
func silence(t testing.TB, address, port string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	to := netip.MustParseAddrPort(address + ":" + port)
	name := &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	if err := errors.Join(unix.Bind(fd, name), unix.Listen(fd, 0)); err != nil {
		t.Skip("the port is taken at another address: ", err)
	}
	for range 3 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(c) })
		_ = unix.Connect(c, name)
	}
}

// names looks up from a list.
func names(addresses ...string) func(context.Context, string) ([]netip.Addr, error) {
	var found []netip.Addr
	for _, a := range addresses {
		found = append(found, netip.MustParseAddr(a))
	}
	return func(context.Context, string) ([]netip.Addr, error) { return found, nil }
}

// TestAddressesAreTriedInTurn: an address that refuses or never answers costs a
// connection some time, but not the connection.
func TestAddressesAreTriedInTurn(t *testing.T) {
	var many []string // that don't answer
	for i := range 19 {
		many = append(many, fmt.Sprintf("127.0.2.%d", i+1))
	}
	for _, tt := range []struct {
		name     string
		silent   []string
		refusing []string
		timeout  time.Duration
	}{
		{"one refuses", nil, []string{"127.0.0.2"}, 20 * time.Second},
		{"one is silent", []string{"127.0.0.2"}, nil, 20 * time.Second},
		{"both kinds", []string{"127.0.0.2"}, []string{"127.0.0.3"}, 20 * time.Second},
		{"more than the time is for", many, nil, 4 * time.Second}, // 19 × 250 ms
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			port := listen(t, "127.0.3.1") // the last in order
			for _, a := range tt.silent {
				silence(t, a, port)
			}
			resolver := &dial.Resolver{Lookup: names(slices.Concat(tt.silent, tt.refusing, []string{"127.0.3.1"})...)}
			link, err := dial.Open(within(t, tt.timeout), dial.Options{Address: "shop.test:" + port, Resolver: resolver})
			if err != nil {
				t.Fatal(err)
			}
			defer link.Close()
			if got, want := link.Remote().String(), "127.0.3.1:"+port; got != want {
				t.Errorf("connected to %s, want %s", got, want)
			}
		})
	}
}

// TestNoAddressAnswers: the error names each, and what happened to it.
func TestNoAddressAnswers(t *testing.T) {
	port := listen(t, "127.0.9.9")
	silence(t, "127.0.0.2", port)
	for _, tt := range []struct {
		name      string
		addresses []string
		want      dial.Cause
		says      []string
	}{
		{"one is silent", []string{"127.0.0.2"}, dial.CauseTimeout, nil},
		{"one refuses", []string{"127.0.0.3"}, dial.CauseRefused, nil},
		{"all refuse", []string{"127.0.0.3", "127.0.0.4"}, dial.CauseRefused, []string{"127.0.0.3:" + port + ": connect: connection refused", "127.0.0.4:"}},
		{"both kinds", []string{"127.0.0.2", "127.0.0.3"}, dial.CauseTimeout, []string{"127.0.0.2:" + port + ": no answer", "127.0.0.3:" + port + ": connect: connection refused"}},
		{"none", nil, dial.CauseResolve, []string{"no addresses"}},
	} {
		_, err := dial.Open(within(t, 500*time.Millisecond), dial.Options{Address: "shop.test:" + port, Resolver: &dial.Resolver{Lookup: names(tt.addresses...)}})
		wantCause(t, err, tt.want)
		for _, part := range tt.says {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q, want one with %q", tt.name, err, part)
			}
		}
	}
}

// TestConnectionsAreSpread: each address gets its share, however answers are
// ordered and however long they are used.
func TestConnectionsAreSpread(t *testing.T) {
	addresses := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
	port := listen(t, addresses...)
	for _, every := range []time.Duration{0, time.Hour} {
		for _, rotating := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", every, rotating), func(t *testing.T) {
				var mu sync.Mutex
				asked := 0
				resolver := &dial.Resolver{Every: every, Lookup: func(context.Context, string) ([]netip.Addr, error) {
					mu.Lock()
					defer mu.Unlock()
					asked++
					if rotating { // against the resolver's own turn
						return names(addresses[(2*asked)%3], addresses[(2*asked+1)%3], addresses[(2*asked+2)%3])(nil, "")
					}
					return names(addresses...)(nil, "")
				}}
				counts := make(map[string]int)
				var group sync.WaitGroup
				for range 30 {
					group.Go(func() {
						link, err := dial.Open(within(t, 10*time.Second), dial.Options{Address: "shop.test:" + port, Resolver: resolver})
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						counts[link.Remote().Addr().String()]++
						mu.Unlock()
						_ = link.Close()
					})
				}
				group.Wait()
				for _, a := range addresses {
					if counts[a] != 10 {
						t.Errorf("%v connections by address, want 10 each", counts)
						break
					}
				}
				if want := map[time.Duration]int{0: 30, time.Hour: 1}[every]; asked != want {
					t.Errorf("looked up %d times, want %d", asked, want)
				}
			})
		}
	}
}

// TestLookupAgain: an answer is used until it is too old, and an error is not
// remembered.
func TestLookupAgain(t *testing.T) {
	port := listen(t, "127.0.0.1", "127.0.0.2")
	answers := []string{"127.0.0.1", "", "127.0.0.2"}
	resolver := &dial.Resolver{Every: time.Nanosecond, Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
		next := answers[0]
		answers = answers[1:]
		if next == "" {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return names(next)(ctx, host)
	}}
	for _, want := range slices.Clone(answers) {
		link, err := dial.Open(within(t, 10*time.Second), dial.Options{Address: "shop.test:" + port, Resolver: resolver})
		if want == "" {
			wantCause(t, err, dial.CauseResolve)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := link.Remote().Addr().String(); got != want {
			t.Errorf("connected to %s, want %s", got, want)
		}
		_ = link.Close()
	}
}

// TestAddressesOfALink: both ends agree on who they are.
func TestAddressesOfALink(t *testing.T) {
	peers := make(chan string, 1)
	address := serve(t, func(c net.Conn) {
		peers <- c.RemoteAddr().String()
		_, _ = io.Copy(io.Discard, c)
	})
	link, err := dial.Open(within(t, 10*time.Second), dial.Options{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if got, want := link.Local().String(), <-peers; got != want || link.Remote().String() != address {
		t.Errorf("from %s to %s, want from %s to %s", got, link.Remote(), want, address)
	}
}

// TestOutOfPorts lives in a network of its own, with four local ports and
// without IPv6.
func TestOutOfPorts(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := network(); err != nil {
		if slices.Contains(strings.Split(os.Getenv("SAILPLAN_TEST_REQUIRE"), ","), "netns") {
			t.Fatal(err)
		}
		t.Skip("no network namespace of its own: ", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:50000")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for range 4 {
		link, err := dial.Open(within(t, 10*time.Second), dial.Options{Address: "127.0.0.1:50000"})
		if err != nil {
			t.Fatal(err)
		}
		defer link.Close()
		if p := link.Local().Port(); p < 40000 || p > 40003 {
			t.Errorf("local port %d", p)
		}
	}
	_, err = dial.Open(within(t, 10*time.Second), dial.Options{Address: "127.0.0.1:50000"})
	wantCause(t, err, dial.CausePorts)
	if want := "net.ipv4.ip_local_port_range is 40000 to 40003, which allows 4 connections"; err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want one with %q", err, want)
	}
	// The kernel has the same number for a family that is not there.
	_, err = dial.Open(within(t, 10*time.Second), dial.Options{Address: "[::1]:50000"})
	wantCause(t, err, dial.CauseUnreachable)
}

// network gives the thread a network of its own.
func network() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	loopback.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, loopback); err != nil {
		return fmt.Errorf("set loopback up: %w", err)
	}
	for name, value := range map[string]string{
		"ipv4/ip_local_port_range": "40000 40003", "ipv6/conf/all/disable_ipv6": "1",
	} {
		err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
		if err != nil && !(errors.Is(err, os.ErrNotExist) && strings.HasPrefix(name, "ipv6")) {
			return err
		}
	}
	return nil
}
