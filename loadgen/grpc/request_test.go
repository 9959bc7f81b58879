package grpc

import (
	"slices"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

func TestRequest(t *testing.T) {
	m := testMethod(t, "grpc.testing.TestService/UnaryCall")
	options := RequestOptions{
		Name: "buy", Scheme: "https", Authority: "shop.example.com", Prefix: "/api",
		Metadata: []exchange.Field{{Name: "x-tenant", Value: "a"}, {Name: "trace-bin", Value: "AAEC"}},
		Timeout:  1500 * time.Millisecond, Message: `{"responseSize": 1}`,
	}
	got, err := m.Request(options)
	if err != nil {
		t.Fatal(err)
	}
	want := []exchange.Field{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "shop.example.com"},
		{Name: ":path", Value: "/api/grpc.testing.TestService/UnaryCall"},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
		{Name: "grpc-timeout", Value: "1500000u"},
		{Name: "x-tenant", Value: "a"}, {Name: "trace-bin", Value: "AAEC"},
	}
	if !slices.Equal(got.Fields, want) {
		t.Errorf("fields %v, want %v", got.Fields, want)
	}
	// response_size is field 2, a varint: key 0x10.
	if want := []byte{0, 0, 0, 0, 2, 0x10, 1}; !slices.Equal(got.Body, want) {
		t.Errorf("body % x, want % x", got.Body, want)
	}
	if got.Name != "buy" || got.Call == nil || got.Call.ServerStreaming {
		t.Errorf("request %q, call %+v; want buy, unary", got.Name, got.Call)
	}
	options.Varies, options.Message, options.Timeout = true, "{${x}", 0
	got, err = m.Request(options)
	if err != nil || got.Body != nil {
		t.Errorf("one whose message varies: body % x, %v; want none", got.Body, err)
	}
	if slices.ContainsFunc(got.Fields, func(f exchange.Field) bool { return f.Name == "grpc-timeout" }) {
		t.Errorf("fields %v, want no timeout", got.Fields)
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	m := testMethod(t, "grpc.testing.TestService/UnaryCall")
	for _, tt := range []struct {
		name    string
		options RequestOptions
		says    string
	}{
		{"message", RequestOptions{Message: `{"a": 1}`}, `no field "a"`},
		{"reserved", RequestOptions{Metadata: []exchange.Field{{Name: "content-type", Value: "text/plain"}}}, "content-type belongs to the protocol"},
		{"name", RequestOptions{Metadata: []exchange.Field{{Name: "X-A"}}}, `"X-A" can't be metadata`},
		{"pseudo-header", RequestOptions{Metadata: []exchange.Field{{Name: ":path", Value: "/"}}}, "can't be metadata"},
		{"line break", RequestOptions{Metadata: []exchange.Field{{Name: "a", Value: "b\r\nc"}}}, "printable ASCII"},
		{"umlaut", RequestOptions{Metadata: []exchange.Field{{Name: "a", Value: "ü"}}}, "printable ASCII"},
		{"binary", RequestOptions{Metadata: []exchange.Field{{Name: "a-bin", Value: "%"}}}, "base64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := m.Request(tt.options)
			wantError(t, err, tt.says)
		})
	}
}

// The form is that of "gRPC over HTTP2": up to eight digits, and a unit.
func TestTimeout(t *testing.T) {
	for _, tt := range []struct {
		of   time.Duration
		want string
	}{
		{1, "1n"}, {99_999_999, "99999999n"}, {100_000_000, "100000u"}, {100_000_001, "100001u"},
		{time.Second, "1000000u"}, {30 * time.Second, "30000000u"}, {100 * time.Second, "100000m"},
	} {
		got := timeout(tt.of)
		if got != tt.want {
			t.Errorf("timeout(%s) = %s, want %s", tt.of, got, tt.want)
		}
	}
	for _, d := range []time.Duration{1, 48 * time.Hour, 30_000 * time.Hour, 2_000_000 * time.Hour, 1<<63 - 1} {
		if got := timeout(d); len(got) > 9 {
			t.Errorf("timeout(%s) = %s, longer than eight digits", d, got)
		}
	}
}
