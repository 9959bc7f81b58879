package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestDelayQuantiles(t *testing.T) {
	for _, tt := range []struct {
		name  string
		shape scenarios.LatencyShape
	}{
		{"quickstart", scenarios.LatencyShape{Median: 5 * time.Millisecond, P99: 20 * time.Millisecond}},
		{"narrow", scenarios.LatencyShape{Median: 10 * time.Millisecond, P99: 11 * time.Millisecond}},
		{"wide", scenarios.LatencyShape{Median: time.Millisecond, P99: time.Second}},
		{"constant", scenarios.LatencyShape{Median: 7 * time.Millisecond, P99: 7 * time.Millisecond}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := newDelayDistribution(tt.shape)
			if err != nil {
				t.Fatal(err)
			}
			const n = 300_000
			random := rand.New(rand.NewPCG(1, 2))
			samples := make([]time.Duration, n)
			for i := range samples {
				samples[i] = d.sample(random)
			}
			slices.Sort(samples)
			// The rank of a true quantile q among n samples is binomial with
			// standard deviation √(n·q·(1−q)); five of them on either side.
			within := func(q float64, rank, sd int, want time.Duration) {
				// A nanosecond for rounding.
				low, high := samples[rank-5*sd]-1, samples[min(rank+5*sd, n-1)]+1
				if want < low || want > high {
					t.Errorf("quantile %v: %s is not in [%s, %s]", q, want, low, high)
				}
			}
			within(0.5, n/2, 274, tt.shape.Median)   // √(300000·0.25) = 273.9
			within(0.99, n*99/100, 55, tt.shape.P99) // √(300000·0.0099) = 54.5
		})
	}
	for _, shape := range []scenarios.LatencyShape{
		{Median: -1, P99: 1}, {Median: 2, P99: 1}, {Median: 0, P99: 1}, {Median: 1, P99: 0},
	} {
		if _, err := newDelayDistribution(shape); err == nil {
			t.Errorf("%+v was accepted", shape)
		}
	}
	if d, err := newDelayDistribution(scenarios.LatencyShape{}); err != nil || d.sample(nil) != 0 {
		t.Errorf("no latency: %+v, %v, want no delay", d, err)
	}
}

func TestDueHeap(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var h dueHeap
	var want []time.Duration
	for i := range 500 {
		at := time.Duration(random.IntN(100)) // with ties
		h.push(at, &serviceStream{id: uint32(i)})
		want = append(want, at)
	}
	slices.Sort(want)
	for i := range want {
		at, ok := h.next()
		if !ok || at != want[i] {
			t.Fatalf("item %d is due at %d, %t, want %d", i, at, ok, want[i])
		}
		h.pop()
	}
	if _, ok := h.next(); ok {
		t.Error("items are left")
	}
}

// rawClient speaks frames to one connection of the service.
type rawClient struct {
	t       *testing.T
	nc      net.Conn
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	cancel  context.CancelFunc // ends the service's context
	served  chan struct{}      // closed when the service is done with the connection
}

// dialRaw connects to a service over a pipe and exchanges settings.
func dialRaw(t *testing.T, config ServiceConfig, settings ...http2.Setting) *rawClient {
	t.Helper()
	s, err := newService(config)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	c := &rawClient{t: t, nc: ours, framer: http2.NewFramer(ours, ours), cancel: cancel, served: make(chan struct{})}
	c.encoder = hpack.NewEncoder(&c.block)
	go func() {
		defer close(c.served)
		s.serveConn(ctx, theirs)
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		cancel()
		<-c.served
	})
	if err := ours.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c.do(func() error { _, err := io.WriteString(ours, http2.ClientPreface); return err })
	c.do(func() error { return c.framer.WriteSettings(settings...) })
	if f := next[*http2.SettingsFrame](c); f.IsAck() {
		t.Fatal("the first frame is an acknowledgement")
	}
	if f := next[*http2.WindowUpdateFrame](c); f.StreamID != 0 {
		t.Fatalf("window update of stream %d, want the connection's", f.StreamID)
	}
	if f := next[*http2.SettingsFrame](c); !f.IsAck() {
		t.Fatal("the settings are not acknowledged")
	}
	return c
}

func (c *rawClient) do(f func() error) {
	c.t.Helper()
	if err := f(); err != nil {
		c.t.Fatal(err)
	}
}

// next reads a frame, which must be of the given type.
func next[F http2.Frame](c *rawClient) F {
	c.t.Helper()
	frame, err := c.framer.ReadFrame()
	if err != nil {
		c.t.Fatal(err)
	}
	f, ok := frame.(F)
	if !ok {
		c.t.Fatalf("read %v, want a %T", frame, f)
	}
	return f
}

// headerBlock encodes alternating names and values.
func (c *rawClient) headerBlock(fields ...string) []byte {
	c.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		c.do(func() error { return c.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) })
	}
	return bytes.Clone(c.block.Bytes())
}

func requestFields(method string) []string {
	return []string{":method", method, ":scheme", "http", ":path", "/", ":authority", "lab", "user-agent", "test"}
}

// request sends the headers of a request.
func (c *rawClient) request(id uint32, method string, end bool) {
	c.t.Helper()
	c.do(func() error {
		return c.framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: c.headerBlock(requestFields(method)...), EndHeaders: true, EndStream: end,
		})
	})
}

// answer reads the headers of an answer.
func (c *rawClient) answer(id uint32, end bool) *http2.HeadersFrame {
	c.t.Helper()
	f := next[*http2.HeadersFrame](c)
	if f.StreamID != id || f.StreamEnded() != end {
		c.t.Fatalf("headers of stream %d, end %t, want stream %d, end %t", f.StreamID, f.StreamEnded(), id, end)
	}
	return f
}

// data reads a DATA frame of the given size.
func (c *rawClient) data(id uint32, size int, end bool) {
	c.t.Helper()
	f := next[*http2.DataFrame](c)
	if f.StreamID != id || len(f.Data()) != size || f.StreamEnded() != end {
		c.t.Fatalf("stream %d: %d bytes, end %t, want stream %d: %d bytes, end %t", f.StreamID, len(f.Data()), f.StreamEnded(), id, size, end)
	}
}

// ping proves that nothing else is on its way.
func (c *rawClient) ping() {
	c.t.Helper()
	want := [8]byte{1, 2, 3}
	c.do(func() error { return c.framer.WritePing(false, want) })
	if f := next[*http2.PingFrame](c); !f.IsAck() || f.Data != want {
		c.t.Fatalf("ping came back as %v", f)
	}
}

func TestServiceAnswer(t *testing.T) {
	c := dialRaw(t, ServiceConfig{Replica: 3, ResponseBytes: 5})
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for id := uint32(1); id < 6; id += 2 { // the later ones come from the dynamic table
		c.request(id, "GET", true)
		f := next[*http2.MetaHeadersFrame](c)
		got := fmt.Sprint(f.Fields)
		for _, want := range []string{`":status" = "200"`, `"content-length" = "5"`, `"x-sailplan-backend" = "3"`} {
			if !strings.Contains(got, want) {
				t.Errorf("stream %d: %s lacks %s", id, got, want)
			}
		}
		c.data(id, 5, true)
	}
	c.ping()
}

func TestServiceSizeAsked(t *testing.T) {
	for _, test := range []struct {
		path string
		want int
	}{
		{"/x?bytes=7", 7}, {"/?bytes=0", 0}, {"/", 5}, {"/x?bytes=", 5}, {"/x?bytes=-1", 5}, {"/x?bytes=67108865", 5}, {"/x?bytes=1e3", 5}, {"/x?size=7", 5},
	} {
		t.Run(test.path, func(t *testing.T) {
			c := dialRaw(t, ServiceConfig{ResponseBytes: 5})
			fields := requestFields("GET")
			fields[slices.Index(fields, ":path")+1] = test.path
			for id := uint32(1); id < 4; id += 2 {
				c.do(func() error {
					return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.headerBlock(fields...), EndHeaders: true, EndStream: true})
				})
				c.answer(id, test.want == 0)
				if test.want > 0 {
					c.data(id, test.want, true)
				}
			}
			// The size is that of one request only.
			c.request(5, "GET", true)
			c.answer(5, false)
			c.data(5, 5, true)
		})
	}
}

func TestServiceRequests(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(c *rawClient)
	}{
		{"HEAD has no body", func(c *rawClient) {
			c.request(1, "HEAD", true)
			c.answer(1, true)
		}},
		{"a body is discarded and answered at its end", func(c *rawClient) {
			c.request(1, "POST", false)
			c.do(func() error { return c.framer.WriteData(1, false, []byte("ab")) })
			c.ping() // no answer yet
			c.do(func() error { return c.framer.WriteData(1, true, nil) })
			c.answer(1, false)
			c.data(1, 5, true)
		}},
		{"trailers end a request", func(c *rawClient) {
			c.request(1, "POST", false)
			c.do(func() error {
				return c.framer.WriteHeaders(http2.HeadersFrameParam{
					StreamID: 1, BlockFragment: c.headerBlock("grpc-status", "0"), EndHeaders: true, EndStream: true,
				})
			})
			c.answer(1, false)
			c.data(1, 5, true)
		}},
		{"headers in several frames", func(c *rawClient) {
			block := c.headerBlock(append(requestFields("GET"), "x-long", strings.Repeat("v", 300))...)
			c.do(func() error {
				return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:7], EndStream: true})
			})
			c.do(func() error { return c.framer.WriteContinuation(1, false, block[7:20]) })
			c.do(func() error { return c.framer.WriteContinuation(1, true, block[20:]) })
			c.answer(1, false)
			c.data(1, 5, true)
		}},
		{"a reset stream gets no answer", func(c *rawClient) {
			c.request(1, "POST", false)
			c.do(func() error { return c.framer.WriteRSTStream(1, http2.ErrCodeCancel) })
			c.do(func() error { return c.framer.WriteData(1, true, []byte("late")) })
			c.ping()
			c.request(3, "GET", true)
			c.answer(3, false)
			c.data(3, 5, true)
		}},
		{"unknown and priority frames are ignored", func(c *rawClient) {
			c.do(func() error { return c.framer.WriteRawFrame(0xfa, 0, 0, []byte("grease")) })
			c.do(func() error { return c.framer.WritePriority(1, http2.PriorityParam{Weight: 3}) })
			c.do(func() error { return c.framer.WriteGoAway(0, http2.ErrCodeNo, nil) })
			c.ping()
		}},
		{"the window comes back", func(c *rawClient) {
			c.request(1, "POST", false)
			chunk := make([]byte, maxDataFrame)
			sent := 0
			for sent <= streamWindow/2 {
				c.do(func() error { return c.framer.WriteData(1, false, chunk) })
				sent += len(chunk)
			}
			if f := next[*http2.WindowUpdateFrame](c); f.StreamID != 1 || int(f.Increment) != sent {
				c.t.Fatalf("window update %v, want %d bytes of stream 1", f, sent)
			}
			c.ping()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialRaw(t, ServiceConfig{ResponseBytes: 5})
			tt.script(c)
			c.ping()
		})
	}
}

// TestServiceFlowControl: never a byte more than the peer's windows permit.
func TestServiceFlowControl(t *testing.T) {
	const size = 100_000
	c := dialRaw(t, ServiceConfig{ResponseBytes: size}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	c.request(1, "GET", true)
	c.answer(1, false)
	c.data(1, 10, false)
	c.ping()

	c.do(func() error { return c.framer.WriteWindowUpdate(1, 20) })
	c.data(1, 20, false)
	c.ping()

	// A smaller initial window makes the stream's negative: 30 − 10 − 25 − 5.
	c.do(func() error { return c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5}) })
	next[*http2.SettingsFrame](c)
	c.do(func() error { return c.framer.WriteWindowUpdate(1, 5) })
	c.ping()
	c.do(func() error { return c.framer.WriteWindowUpdate(1, 1) })
	c.data(1, 1, false)

	// All the window a stream can have: now the connection's binds, 65535 in all.
	c.do(func() error { return c.framer.WriteWindowUpdate(1, size) })
	left := 65535 - 31
	for left > 0 {
		n := min(left, maxDataFrame)
		c.data(1, n, false)
		left -= n
	}
	c.ping()
	c.do(func() error { return c.framer.WriteWindowUpdate(0, size) })
	left = size - 65535
	for left > 0 {
		n := min(left, maxDataFrame)
		c.data(1, n, left == n)
		left -= n
	}
	c.ping()
}

// TestServiceTurns: two large answers share the connection's window.
func TestServiceTurns(t *testing.T) {
	c := dialRaw(t, ServiceConfig{ResponseBytes: 2 * maxDataFrame}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	c.request(1, "GET", true)
	c.answer(1, false)
	c.data(1, 1, false)
	c.request(3, "GET", true)
	c.answer(3, false)
	c.data(3, 1, false)
	c.do(func() error {
		return c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	})
	next[*http2.SettingsFrame](c)
	seen := make([]uint32, 0, 4)
	for range 4 {
		seen = append(seen, next[*http2.DataFrame](c).StreamID)
	}
	if a, b := seen[0], seen[1]; a == b || seen[2] != a || seen[3] != b {
		t.Errorf("frames of streams %v, want them in turn", seen)
	}
}

// TestServiceReset: a stream that is reset gets nothing more, wherever its
// answer was.
func TestServiceReset(t *testing.T) {
	t.Run("waiting for its time", func(t *testing.T) {
		const delay = 300 * time.Millisecond // long beside the writes below
		c := dialRaw(t, ServiceConfig{Latency: scenarios.LatencyShape{Median: delay, P99: delay}})
		c.request(1, "GET", true)
		c.request(3, "GET", true)
		c.do(func() error { return c.framer.WriteRSTStream(1, http2.ErrCodeCancel) })
		c.answer(3, true) // stream 1 would have come first
		c.ping()
	})
	t.Run("waiting for the connection's window", func(t *testing.T) {
		const size = 100_000
		c := dialRaw(t, ServiceConfig{ResponseBytes: size}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		c.request(1, "GET", true)
		c.answer(1, false)
		for left := 65535; left > 0; left -= maxDataFrame {
			c.data(1, min(left, maxDataFrame), false)
		}
		c.request(3, "GET", true)
		c.answer(3, false)
		c.do(func() error { return c.framer.WriteRSTStream(3, http2.ErrCodeCancel) })
		c.do(func() error { return c.framer.WriteWindowUpdate(0, 2*size) })
		for left := size - 65535; left > 0; left -= maxDataFrame {
			c.data(1, min(left, maxDataFrame), left <= maxDataFrame)
		}
		c.ping()
	})
}

func TestServiceProtocolErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(c *rawClient) error
		stream uint32 // 0: the connection ends
		want   http2.ErrCode
	}{
		{"no method", func(c *rawClient) error {
			return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.headerBlock(":path", "/"), EndHeaders: true, EndStream: true})
		}, 1, http2.ErrCodeProtocol},
		{"unknown pseudo-header", func(c *rawClient) error {
			return c.framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, BlockFragment: c.headerBlock(append([]string{":odd", "1"}, requestFields("GET")...)...), EndHeaders: true, EndStream: true,
			})
		}, 1, http2.ErrCodeProtocol},
		{"data on an idle stream", func(c *rawClient) error { return c.framer.WriteData(5, true, nil) }, 0, http2.ErrCodeProtocol},
		{"even stream", func(c *rawClient) error {
			return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2, BlockFragment: c.headerBlock(requestFields("GET")...), EndHeaders: true})
		}, 0, http2.ErrCodeProtocol},
		{"broken header block", func(c *rawClient) error {
			return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff}, EndHeaders: true})
		}, 0, http2.ErrCodeCompression},
		{"window of no size", func(c *rawClient) error {
			c.framer.AllowIllegalWrites = true
			return c.framer.WriteWindowUpdate(0, 0)
		}, 0, http2.ErrCodeProtocol},
		{"window overflow", func(c *rawClient) error { return c.framer.WriteWindowUpdate(0, maxWindow) }, 0, http2.ErrCodeFlowControl},
		{"wrong setting", func(c *rawClient) error {
			return c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
		}, 0, http2.ErrCodeFlowControl},
		{"frame too large", func(c *rawClient) error {
			return c.framer.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, maxDataFrame+1))
		}, 0, http2.ErrCodeFrameSize},
		{"body after its end", func(c *rawClient) error {
			if err := c.framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, BlockFragment: c.headerBlock(requestFields("GET")...), EndHeaders: true, EndStream: true,
			}); err != nil {
				return err
			}
			return c.framer.WriteData(1, true, nil)
		}, 1, http2.ErrCodeStreamClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialRaw(t, ServiceConfig{Latency: scenarios.LatencyShape{Median: time.Hour, P99: time.Hour}})
			// The pipe has no buffer: the service may cut a write short.
			sent := make(chan error, 1)
			go func() { sent <- tt.script(c) }()
			frame, err := c.framer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch f := frame.(type) {
			case *http2.RSTStreamFrame:
				if f.StreamID != tt.stream || f.ErrCode != tt.want {
					t.Errorf("reset stream %d: %s, want %d: %s", f.StreamID, f.ErrCode, tt.stream, tt.want)
				}
				<-sent
				c.ping()
			case *http2.GoAwayFrame:
				if tt.stream != 0 || f.ErrCode != tt.want {
					t.Errorf("goaway %s, want %s on stream %d", f.ErrCode, tt.want, tt.stream)
				}
				<-c.served
				<-sent
			default:
				t.Fatalf("answered with %v", frame)
			}
		})
	}
}

// TestServiceGoAway: a service that ends finishes what it has and takes no more.
func TestServiceGoAway(t *testing.T) {
	c := dialRaw(t, ServiceConfig{ResponseBytes: 5})
	c.request(1, "POST", false)
	c.ping()
	c.cancel()
	if f := next[*http2.GoAwayFrame](c); f.LastStreamID != 1 || f.ErrCode != http2.ErrCodeNo {
		t.Errorf("goaway %v, want stream 1 and no error", f)
	}
	c.request(3, "GET", true)
	c.ping() // stream 3 is ignored
	c.do(func() error { return c.framer.WriteData(1, true, nil) })
	c.answer(1, false)
	c.data(1, 5, true)
	<-c.served
}

// serveOn runs a service on a port and returns its address.
func serveOn(t *testing.T, config ServiceConfig) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serveListener(ctx, listener, config) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func h2cClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// TestServiceWithNetHTTP lets an independent client talk to it: large bodies
// both ways and many at once.
func TestServiceWithNetHTTP(t *testing.T) {
	const size = 3 << 20
	address := serveOn(t, ServiceConfig{
		Replica: 1, ResponseBytes: size, Seed: 5,
		Latency: scenarios.LatencyShape{Median: time.Millisecond, P99: 4 * time.Millisecond},
	})
	client := h2cClient(t)
	one := func(method string, body io.Reader, want int64) error {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/x", body)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		n, err := io.Copy(io.Discard, response.Body)
		if err != nil {
			return err
		}
		if backend := response.Header.Get(BackendHeader); response.StatusCode != 200 || n != want || response.ContentLength != size || backend != "1" {
			return fmt.Errorf("%s: status %d, %d bytes of %d, backend %q", method, response.StatusCode, n, response.ContentLength, backend)
		}
		return nil
	}
	errs := make([]error, 60)
	var running sync.WaitGroup
	for i := range errs {
		running.Go(func() {
			switch i % 3 {
			case 0:
				errs[i] = one("GET", nil, size)
			case 1:
				errs[i] = one("POST", bytes.NewReader(make([]byte, 2<<20)), size)
			case 2:
				errs[i] = one("HEAD", nil, 0)
			}
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// FuzzServiceConn sends anything after the preface: the service must neither
// panic nor hang.
func FuzzServiceConn(f *testing.F) {
	seed := func(write func(framer *http2.Framer, encoder *hpack.Encoder, block *bytes.Buffer)) {
		var out, block bytes.Buffer
		framer := http2.NewFramer(&out, nil)
		framer.AllowIllegalWrites = true
		_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
		write(framer, hpack.NewEncoder(&block), &block)
		f.Add(out.Bytes())
	}
	seed(func(framer *http2.Framer, encoder *hpack.Encoder, block *bytes.Buffer) {
		for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
		_ = framer.WriteData(1, true, []byte("body"))
		_ = framer.WriteWindowUpdate(1, 1000)
		_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		_ = framer.WriteRSTStream(1, http2.ErrCodeCancel)
		_ = framer.WritePing(false, [8]byte{})
	})
	seed(func(framer *http2.Framer, _ *hpack.Encoder, _ *bytes.Buffer) {
		_ = framer.WriteContinuation(1, true, nil)
	})
	s, err := newService(ServiceConfig{ResponseBytes: 300})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		ours, theirs := net.Pipe()
		var running sync.WaitGroup
		running.Go(func() { s.serveConn(context.Background(), theirs) })
		running.Go(func() { _, _ = io.Copy(io.Discard, ours) })
		_, _ = ours.Write(append([]byte(http2.ClientPreface), input...))
		if err := ours.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
}
