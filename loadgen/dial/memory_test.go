//go:build linux

package dial_test

import (
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/dial"
)

// idle opens links to a server that keeps its sockets and nothing else, and
// returns the bytes of heap that each link holds, those of the server's socket
// included.
func idle(t testing.TB, count int, seal bool) float64 {
	ca := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.issue("shop.test", time.Now().Add(time.Hour))}, NextProtos: []string{"h2"}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	kept := make([]net.Conn, 0, count)
	accepting.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			kept = append(kept, c)
			if seal {
				_ = tls.Server(c, server).Handshake()
			}
		}
	})
	options := dial.Options{Address: listener.Addr().String()}
	if seal {
		options.TLS = newTLS(t, dial.TLSOptions{CAFile: ca.file, Authority: "shop.test"})
	}
	links := make([]*dial.Link, 0, count+1)
	shared := make([]byte, 64<<10)
	open := func() {
		ctx := within(t, time.Minute)
		link, err := dial.Open(ctx, options)
		if err != nil {
			t.Fatal(err)
		}
		link.Share(shared)
		if _, err := link.Write(make([]byte, 20_000)); err != nil { // as a loop does
			t.Fatal(err)
		}
		if _, err := link.Read(make([]byte, 100)); err != dial.ErrWouldBlock {
			t.Fatal(err)
		}
		links = append(links, link)
	}
	open() // what is made once
	before := heap()
	for range count {
		open()
	}
	each := float64(heap()-before) / float64(count)
	for _, link := range links {
		_ = link.Close()
	}
	_ = listener.Close()
	accepting.Wait()
	for _, c := range kept {
		_ = c.Close()
	}
	return each
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what sync.Pool keeps goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestIdleLinksAreSmall: in cleartext a link and the test server's socket are far
// below the 24 KiB that a connection of the generator may take.
func TestIdleLinksAreSmall(t *testing.T) {
	if each := idle(t, 200, false); each > 2048 {
		t.Errorf("%.0f bytes for each link in cleartext, want at most 2048", each)
	}
	if each := idle(t, 100, true); each > 16<<10 {
		t.Errorf("%.0f bytes for each link with TLS, want at most 16 KiB", each)
	}
}

// BenchmarkIdleLinks reports the heap that an idle link holds.
func BenchmarkIdleLinks(b *testing.B) {
	for name, seal := range map[string]bool{"cleartext": false, "TLS": true} {
		b.Run(name, func(b *testing.B) {
			each := 0.0
			for b.Loop() {
				each = idle(b, 300, seal)
			}
			b.ReportMetric(each, "B/link")
			b.ReportMetric(0, "ns/op")
		})
	}
}
