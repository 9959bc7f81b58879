//go:build linux

package dial_test

import (
	"net"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/dial"
)

// What comes in is stamped when it comes in, and not when it is read.
func TestReceived(t *testing.T) {
	send := make(chan string)
	defer close(send)
	address := serve(t, func(c net.Conn) {
		for text := range send {
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
	})
	ctx := within(t, time.Minute)
	link, err := dial.Open(ctx, dial.Options{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if got := link.Received(); got != 0 {
		t.Errorf("received at %d before anything was", got)
	}
	if err := link.Stamp(new(dial.Stamps)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1024)
	for attempt, good := 0, 0; good < 2; attempt++ { // each stamp is of its own read
		before := time.Now().UnixNano()
		send <- "answer"
		if err := link.Wait(ctx, false); err != nil {
			t.Fatal(err)
		}
		there := time.Now().UnixNano()
		for time.Now().UnixNano() < there+int64(2*time.Millisecond) { // long before it is read
		}
		link.Arrived()
		n, err := link.Read(buffer)
		if err != nil || string(buffer[:n]) != "answer" {
			t.Fatalf("read %q, %v", buffer[:n], err)
		}
		got := link.Received()
		if got == 0 && attempt < 1000 {
			continue // the kernel takes a while to begin
		}
		if got < before || got > there {
			t.Fatalf("received at %d, want from %d to %d", got, before, there)
		}
		good++
	}
	if n := testing.AllocsPerRun(100, func() {
		link.Arrived()
		if _, err := link.Read(buffer); err != dial.ErrWouldBlock {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a read, want none", n)
	}
}
