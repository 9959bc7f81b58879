package h2

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// TestChecks evaluates checks on answers that come in any pieces.
func TestChecks(t *testing.T) {
	status := []exchange.StatusRange{{From: 200, To: 299}}
	body := exchange.Check{Status: status, Body: []byte("the needle")}
	header := exchange.Check{Header: exchange.Field{Name: "x-mode", Value: "fast"}}
	data := func(p *peer, end bool, text string) {
		p.write(func(f *http2.Framer) error { return f.WriteData(1, end, []byte(text)) })
	}
	hay := strings.Repeat("hay and the need ", 200)
	tests := []struct {
		name   string
		check  exchange.Check
		answer func(*peer)
		want   exchange.Class
	}{
		{"in one frame", body, func(p *peer) { p.headers(1, false, ":status", "200"); data(p, true, hay+"the needle"+hay) }, exchange.Good},
		{"across two frames", body, func(p *peer) {
			p.headers(1, false, ":status", "200")
			data(p, false, hay+"the n")
			data(p, true, "eedle")
		}, exchange.Good},
		{"across many frames", body, func(p *peer) {
			p.headers(1, false, ":status", "200")
			for _, c := range "the the needle" {
				data(p, false, string(c))
			}
			data(p, true, "")
		}, exchange.Good},
		{"padding is not the body", body, func(p *peer) {
			p.headers(1, false, ":status", "200")
			p.write(func(f *http2.Framer) error { return f.WriteDataPadded(1, false, []byte("the ne"), make([]byte, 20)) })
			p.write(func(f *http2.Framer) error { return f.WriteDataPadded(1, true, []byte("edle"), make([]byte, 3)) })
		}, exchange.Good},
		{"before the trailers", body, func(p *peer) {
			p.headers(1, false, ":status", "200")
			data(p, false, "the needle")
			p.headers(1, true, "x-end", "1")
		}, exchange.Good},
		{"not there", body, func(p *peer) { p.headers(1, false, ":status", "200"); data(p, true, hay+"the needl") }, exchange.CheckFailed},
		{"no body at all", body, func(p *peer) { p.headers(1, true, ":status", "204") }, exchange.CheckFailed},
		{"a body of another status", body, func(p *peer) { p.headers(1, false, ":status", "302"); data(p, true, "the needle") }, exchange.CheckFailed},
		{"an error says more", body, func(p *peer) {
			p.headers(1, false, ":status", "503", "server", "envoy")
			data(p, true, "no healthy upstream")
		}, exchange.NoHealthyUpstream},
		{"an error that is wanted", exchange.Check{Status: []exchange.StatusRange{{From: 503, To: 503}}, Body: []byte("upstream")}, func(p *peer) {
			p.headers(1, false, ":status", "503", "server", "envoy")
			data(p, true, "no healthy upstream")
		}, exchange.Good},
		{"header", header, func(p *peer) { p.headers(1, true, ":status", "200", "x-mode", "very fast") }, exchange.Good},
		{"header of another value", header, func(p *peer) { p.headers(1, true, ":status", "200", "x-mode", "slow") }, exchange.CheckFailed},
		{"no such header", header, func(p *peer) { p.headers(1, true, ":status", "200", "x-mood", "fast") }, exchange.CheckFailed},
		{"header of an informational answer", header, func(p *peer) {
			p.headers(1, false, ":status", "103", "x-mode", "fast")
			p.headers(1, true, ":status", "200")
		}, exchange.CheckFailed},
		{"early answer to an upload", body, func(p *peer) { p.headers(1, false, ":status", "200"); data(p, true, "the needle") }, exchange.Good},
	}
	for _, tt := range tests {
		for _, split := range []int{0, 1, 7, 100} {
			for kind := range 2 { // the second one uploads
				t.Run(fmt.Sprintf("%s/%d/%d", tt.name, split, kind), func(t *testing.T) {
					p := greeted(t)
					p.split = split
					p.conn.cfg.Requests[kind].Check = &tt.check
					p.conn.Update(p.conn.cfg.Requests)
					p.conn.Start(kind, 7, nil)
					tt.answer(p)
					p.want(nil)
					p.wantDone(7, exchange.Answered, tt.want)
				})
			}
		}
	}
}

// TestCheckOfAnotherStream: streams in turn keep the state of their own checks.
func TestCheckOfAnotherStream(t *testing.T) {
	p := greeted(t)
	p.conn.cfg.Requests[0].Check = &exchange.Check{Body: []byte("needle")}
	for i := range 4 {
		p.conn.Start(0, uint32(i), nil)
		p.headers(uint32(2*i+1), false, ":status", "200")
	}
	parts := [][]string{{"nee", "dle"}, {"nee", "xdle"}, {"x", "needle"}, {"n", "eedl"}}
	for part := range 2 {
		for i := range parts {
			p.write(func(f *http2.Framer) error { return f.WriteData(uint32(2*i+1), part == 1, []byte(parts[i][part])) })
		}
	}
	p.want(nil)
	want := []exchange.Class{exchange.Good, exchange.CheckFailed, exchange.Good, exchange.CheckFailed}
	for i, d := range p.done() {
		if d.Token != uint32(i) || d.Class != want[i] {
			t.Errorf("request %d is %s, want %d to be %s", d.Token, d.Class, i, want[i])
		}
	}
	// A slot that is used again begins anew.
	p.conn.Start(0, 9, nil)
	p.headers(9, false, ":status", "200")
	p.write(func(f *http2.Framer) error { return f.WriteData(9, true, []byte("dle")) })
	p.want(nil)
	p.wantDone(9, exchange.Answered, exchange.CheckFailed)
}

// TestUpdateWhileInFlight: the check of a request is the one that it was sent with.
func TestUpdateWhileInFlight(t *testing.T) {
	p := greeted(t)
	p.conn.Start(0, 1, nil)
	requests := testConfig().Requests
	requests[0].Check = &exchange.Check{Header: exchange.Field{Name: "x-new"}}
	requests[0].Fields = append(requests[0].Fields, exchange.Field{Name: "authorization", Value: "Bearer new"})
	p.conn.Update(requests)
	p.conn.Start(0, 2, nil)
	frames := p.frames()
	if got, want := len(frames[1].fields), len(frames[0].fields)+1; got != want || frames[1].fields[got-1].Value != "Bearer new" {
		t.Errorf("the request after the update has fields %v, want the new credential", frames[1].fields)
	}
	p.headers(1, true, ":status", "200")
	p.want(nil)
	p.wantDone(1, exchange.Answered, exchange.Good)
	p.headers(3, true, ":status", "200")
	p.want(nil)
	p.wantDone(2, exchange.Answered, exchange.CheckFailed)
	p.conn.Start(0, 3, nil)
	p.headers(5, true, ":status", "200", "x-new", "")
	p.want(nil)
	p.wantDone(3, exchange.Answered, exchange.Good)
}

// reading is a Reader that writes down what it is told.
type reading struct {
	text map[int32]string
}

func (r *reading) Field(slot int32, place int, value []byte) {
	r.text[slot] += fmt.Sprintf("[%d=%s]", place, value)
}
func (r *reading) Data(slot int32, piece []byte) { r.text[slot] += string(piece) }
func (r *reading) End(slot int32, d *exchange.Completion) {
	d.Class, d.Messages = exchange.GRPCUnavailable, int32(len(r.text[slot]))
}

// TestReader: a Reader is told the fields that it asks for and the body, and has
// the last word on a complete answer alone.
func TestReader(t *testing.T) {
	for _, split := range []int{0, 1, 10} {
		t.Run(fmt.Sprint(split), func(t *testing.T) {
			p := newPeer(t)
			r := &reading{text: map[int32]string{}}
			p.conn.cfg.Reader, p.conn.cfg.Fields = r, []string{"grpc-status", "grpc-message", "server"}
			p.conn.Update(p.conn.cfg.Requests)
			p.split = split
			p.write(func(f *http2.Framer) error { return f.WriteSettings() })
			slot := int32(-1)
			for i := range 2 {
				p.want(nil)
				slot = p.conn.Start(0, uint32(i), nil)
			}
			p.headers(3, false, ":status", "103", "grpc-status", "99")
			p.headers(3, false, ":status", "200", "server", "envoy", "x", "y")
			p.write(func(f *http2.Framer) error { return f.WriteData(3, false, []byte("abc")) })
			p.write(func(f *http2.Framer) error { return f.WriteDataPadded(3, false, []byte("def"), make([]byte, 4)) })
			p.headers(3, true, "grpc-status", "14", "grpc-message", "gone")
			p.want(nil)
			if got, want := r.text[slot], "[2=envoy]abcdef[0=14][1=gone]"; got != want {
				t.Errorf("told %q, want %q", got, want)
			}
			if d := p.wantDone(1, exchange.Answered, exchange.GRPCUnavailable); d.Messages != 29 {
				t.Errorf("%d messages, want those of End", d.Messages)
			}
			p.write(func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeCancel) })
			p.want(nil)
			p.wantDone(0, exchange.Reset, exchange.ResetCancel)
		})
	}
}
