package h2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// downloader is a server that keeps count of both windows as the protocol has
// it: the whole payload of DATA counts, its padding and the length of that too
// (RFC 9113, 6.9.1).
type downloader struct {
	*peer
	stream, connection int64 // bytes that may still be sent
	streamUpdates      int
	connectionUpdates  int
}

func downloading(t *testing.T) *downloader {
	return &downloader{peer: greeted(t), stream: streamWindow, connection: connWindow}
}

// data returns a DATA frame with so many bytes of payload; padding < 0: not padded.
func data(id uint32, payload, padding int) []byte {
	flags := http2.Flags(0)
	if padding >= 0 {
		flags = http2.FlagDataPadded
	}
	raw := append(appendHeader(nil, payload, http2.FrameData, flags, id), make([]byte, payload)...)
	if padding >= 0 {
		raw[frameHeader] = byte(padding)
	}
	return raw
}

// send feeds a DATA frame and takes the updates that it brings. An update has to
// give back all that was used.
func (d *downloader) send(id uint32, raw []byte) {
	d.t.Helper()
	length := int64(len(raw) - frameHeader)
	if d.stream < length || d.connection < length {
		d.t.Fatalf("windows of %d and %d bytes are left: they were not opened again", d.stream, d.connection)
	}
	d.stream -= length
	d.connection -= length
	if err := d.conn.Ingest(raw, 1); err != nil {
		d.t.Fatal(err)
	}
	if len(d.conn.Out()) == 0 {
		return
	}
	for _, f := range d.frames() {
		switch {
		case f.kind == http2.FrameWindowUpdate && f.id == 0:
			d.connectionUpdates++
			if d.connection += int64(f.value); d.connection != connWindow {
				d.t.Fatalf("window of the connection after an update: got %d, want %d", d.connection, connWindow)
			}
		case f.kind == http2.FrameWindowUpdate && f.id == id:
			d.streamUpdates++
			if d.stream += int64(f.value); d.stream != streamWindow {
				d.t.Fatalf("window of the stream after an update: got %d, want %d", d.stream, streamWindow)
			}
		default:
			d.t.Fatalf("wrote %+v upon DATA", f)
		}
	}
}

// TestWindowsAreGivenBack downloads more than both windows hold, in one stream.
func TestWindowsAreGivenBack(t *testing.T) {
	tests := []struct {
		name     string
		padding  int // −1: none
		received int64
	}{
		{"plain", -1, maxFrame},
		{"padded", 255, maxFrame - 256},
		{"padded by nothing", 0, maxFrame - 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := downloading(t)
			d.conn.Start(0, 1, nil)
			d.headers(1, false, ":status", "200")
			d.want(nil)
			d.frames()
			raw := data(1, maxFrame, tt.padding)
			const frames = connWindow/maxFrame + 100
			for range frames {
				d.send(1, raw)
			}
			if d.connectionUpdates == 0 || d.streamUpdates == 0 {
				t.Errorf("%d updates of the connection, %d of the stream, want some of both", d.connectionUpdates, d.streamUpdates)
			}
			d.headers(1, true, "x", "y")
			d.want(nil)
			if done := d.wantDone(1, exchange.Answered, exchange.Good); done.Received != frames*tt.received {
				t.Errorf("%d bytes received, want %d", done.Received, frames*tt.received)
			}
		})
	}
}

// TestPaddingAloneIsGivenBack: a server may send nothing but padding.
func TestPaddingAloneIsGivenBack(t *testing.T) {
	d := downloading(t)
	d.conn.Start(0, 1, nil)
	d.headers(1, false, ":status", "200")
	d.want(nil)
	d.frames()
	raw := data(1, 256, 255)
	for range streamWindow/256 + 1 {
		d.send(1, raw)
	}
}

// TestWindowOfEndedStreamsIsGivenBack: what comes for streams that have ended
// still counts for the connection. A server may have the window of a stream on
// its way when the client cancels it.
func TestWindowOfEndedStreamsIsGivenBack(t *testing.T) {
	tests := []struct {
		name string
		end  func(d *downloader, id uint32, slot int32)
	}{
		{"cancelled", func(d *downloader, _ uint32, slot int32) { d.conn.Cancel(slot) }},
		{"answered", func(d *downloader, id uint32, _ int32) {
			d.headers(id, true, ":status", "200")
			d.want(nil)
		}},
		{"reset", func(d *downloader, id uint32, _ int32) {
			d.write(func(f *http2.Framer) error { return f.WriteRSTStream(id, http2.ErrCodeInternal) })
			d.want(nil)
		}},
	}
	for _, tt := range tests {
		for _, padding := range []int{-1, 9} {
			t.Run(tt.name, func(t *testing.T) {
				d := downloading(t)
				id := uint32(1)
				for sent := int64(0); sent < connWindow+64<<20; id += 2 {
					slot := d.conn.Start(0, id, nil)
					tt.end(d, id, slot)
					d.frames()
					d.done()
					raw := data(id, maxFrame, padding)
					for d.stream = streamWindow; d.stream >= maxFrame; sent += maxFrame {
						d.send(id, raw)
					}
				}
				if d.connectionUpdates == 0 || d.streamUpdates > 0 {
					t.Errorf("%d updates of the connection, %d of ended streams, want some and none", d.connectionUpdates, d.streamUpdates)
				}
			})
		}
	}
}

// TestFrameIsCountedOnceItBegins: the window counts a frame however it comes.
func TestFrameIsCountedOnceItBegins(t *testing.T) {
	for _, padding := range []int{-1, 200} {
		d := downloading(t)
		d.conn.Start(0, 1, nil)
		d.headers(1, false, ":status", "200")
		d.want(nil)
		d.frames()
		raw := bytes.Repeat(data(1, maxFrame, padding), streamWindow/2/maxFrame)
		for _, piece := range [][]byte{raw[:5], raw[5:2000], raw[2000 : len(raw)-1], raw[len(raw)-1:]} {
			if err := d.conn.Ingest(piece, 1); err != nil {
				t.Fatal(err)
			}
		}
		f, ok := has(d.frames(), http2.FrameWindowUpdate)
		if !ok || f.id != 1 || f.value != streamWindow/2 {
			t.Errorf("padding %d: wrote %+v, want the half of the stream's window back", padding, f)
		}
	}
}
