//go:build linux && !race

package dial_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/dial"
)

// TestWriteDoesNotAllocate holds without TLS and with it, and while the kernel
// takes no more. Reading in cleartext doesn't either; with TLS, crypto/tls itself
// allocates 24 bytes for each record. (With the race detector sync.Pool forgets
// on purpose.)
func TestWriteDoesNotAllocate(t *testing.T) {
	ca := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.issue("shop.test", time.Now().Add(time.Hour))}, NextProtos: []string{"h2"}}
	for name, config := range map[string]*dial.TLS{"cleartext": nil, "TLS": newTLS(t, dial.TLSOptions{CAFile: ca.file, Authority: "shop.test"})} {
		for _, size := range []int{100, 100_000} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				address := serve(t, func(c net.Conn) {
					if config != nil {
						_ = tls.Server(c, server).Handshake()
					}
					buffer := make([]byte, 64<<10) // as it comes, since crypto/tls would allocate
					for {
						if _, err := c.Read(buffer); err != nil {
							return
						}
					}
				})
				ctx := within(t, time.Minute)
				link, err := dial.Open(ctx, dial.Options{Address: address, TLS: config})
				if err != nil {
					t.Fatal(err)
				}
				defer link.Close()
				link.Share(make([]byte, 64<<10))
				message, answer := make([]byte, size), make([]byte, 100)
				write := func() {
					for rest := message; len(rest) > 0 || link.Pending(); {
						n, err := 0, error(nil)
						if link.Pending() {
							err = link.Flush()
						} else {
							n, err = link.Write(rest)
						}
						rest = rest[n:]
						if err == dial.ErrWouldBlock {
							err = link.Wait(ctx, true)
						}
						if err != nil {
							t.Fatal(err)
						}
					}
					if config == nil {
						link.Arrived()
						if _, err := link.Read(answer); err != dial.ErrWouldBlock {
							t.Fatal(err)
						}
					}
				}
				for range 20 { // whatever grows has grown
					write()
				}
				if n := testing.AllocsPerRun(200, write); n != 0 {
					t.Errorf("%v allocations for each write of %d bytes, want none", n, size)
				}
			})
		}
	}
}
