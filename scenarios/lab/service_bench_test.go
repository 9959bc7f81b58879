package lab

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// BenchmarkService measures the service and a lean client together, over one
// loopback connection with some requests in flight.
func BenchmarkService(b *testing.B) {
	for _, inFlight := range []int{1, 16, 100} {
		b.Run(fmt.Sprintf("inFlight=%d", inFlight), func(b *testing.B) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- serveListener(b.Context(), listener, ServiceConfig{ResponseBytes: 1024}) }()
			nc, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			out := bufio.NewWriter(nc)
			framer := http2.NewFramer(out, bufio.NewReader(nc))
			framer.SetReuseFrames()
			if _, err := io.WriteString(out, http2.ClientPreface); err != nil {
				b.Fatal(err)
			}
			if err := framer.WriteSettings(); err != nil {
				b.Fatal(err)
			}
			// Literal fields that enter no table, so that the block can be sent again.
			var block []byte
			for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/products"}, {":authority", "lab"}} {
				block = append(block, 0x10)
				block = append(block, byte(len(field[0])))
				block = append(block, field[0]...)
				block = append(block, byte(len(field[1])))
				block = append(block, field[1]...)
			}
			if _, err := hpack.NewDecoder(4096, nil).DecodeFull(block); err != nil {
				b.Fatal(err)
			}
			id := uint32(1)
			send := func() {
				if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true}); err != nil {
					b.Fatal(err)
				}
				id += 2
			}
			b.ReportAllocs()
			b.ResetTimer()
			for sent, done, window := 0, 0, 0; done < b.N; {
				for ; sent < b.N && sent-done < inFlight; sent++ {
					send()
				}
				if err := out.Flush(); err != nil {
					b.Fatal(err)
				}
				frame, err := framer.ReadFrame()
				if err != nil {
					b.Fatal(err)
				}
				if f, ok := frame.(*http2.DataFrame); ok {
					if window += int(f.Length); window > 30_000 {
						if err := framer.WriteWindowUpdate(0, uint32(window)); err != nil {
							b.Fatal(err)
						}
						window = 0
					}
					if f.StreamEnded() {
						done++
					}
				}
			}
		})
	}
}
