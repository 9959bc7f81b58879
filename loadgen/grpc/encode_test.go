package grpc

import (
	"encoding/binary"
	"fmt"
	"testing"

	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

func TestEncoderWritesWhatTheGeneratedTypesRead(t *testing.T) {
	e := testMethod(t, "grpc.testing.TestService/UnaryCall").Encoder()
	for _, tt := range []struct {
		name, json string
		want       *grpc_testing.SimpleRequest
	}{
		{"nothing", "", &grpc_testing.SimpleRequest{}},
		{"no fields", "{}", &grpc_testing.SimpleRequest{}},
		{"by JSON name", `{"responseSize": 7}`, &grpc_testing.SimpleRequest{ResponseSize: 7}},
		{"by proto name", `{"response_size": "7"}`, &grpc_testing.SimpleRequest{ResponseSize: 7}},
		{"an enum, a message, bytes", `{"responseType": "COMPRESSABLE", "payload": {"body": "AAEC"}}`,
			&grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: []byte{0, 1, 2}}}},
		{"text", `{"responseStatus": {"code": 5, "message": "né\"e"}}`,
			&grpc_testing.SimpleRequest{ResponseStatus: &grpc_testing.EchoStatus{Code: 5, Message: "né\"e"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := e.Append([]byte("before"), []byte(tt.json))
			if err != nil {
				t.Fatal(err)
			}
			if string(out[:6]) != "before" || out[6] != 0 {
				t.Fatalf("%q: want it behind what was there, not compressed", out)
			}
			message := out[11:]
			if got := binary.BigEndian.Uint32(out[7:]); int(got) != len(message) {
				t.Errorf("length %d in front of %d bytes", got, len(message))
			}
			got := new(grpc_testing.SimpleRequest)
			if err := proto.Unmarshal(message, got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, tt.want) {
				t.Errorf("%s became %v, want %v", tt.json, got, tt.want)
			}
		})
	}
}

func TestMessagesThatDoNotFit(t *testing.T) {
	for _, tt := range []struct {
		method, json string
		says         []string
	}{
		{"UnaryCall", `{"respnseSize": 7}`, []string{"message of grpc.testing.TestService/UnaryCall", `grpc.testing.SimpleRequest has no field "respnseSize"`, `did you mean "responseSize"?`}},
		{"UnaryCall", `{"payload": {"size": 7}}`, []string{"payload.size", `grpc.testing.Payload has no field "size"`, "there are type, body"}},
		{"StreamingOutputCall", `{"responseParameters": [{}, {"sise": 1}]}`, []string{"responseParameters[1].sise", `did you mean "size"?`}},
		{"EmptyCall", `{"a": 1}`, []string{`grpc.testing.Empty has no field "a"`, "there are none"}},
		{"UnaryCall", `{"responseSize": "many"}`, []string{"grpc.testing.SimpleRequest is expected", "responseSize", "int32"}},
		{"UnaryCall", `{"responseType": "PURPLE"}`, []string{"responseType", "PURPLE"}},
		{"UnaryCall", `{"payload": 3}`, []string{"grpc.testing.SimpleRequest is expected"}},
		{"UnaryCall", `[]`, []string{"grpc.testing.SimpleRequest is expected"}},
		{"UnaryCall", `{"responseSize": 1`, []string{"grpc.testing.SimpleRequest is expected"}},
		{"UnaryCall", `{"id": ${id}}`, []string{"grpc.testing.SimpleRequest is expected"}},
	} {
		t.Run(tt.json, func(t *testing.T) {
			out, err := testMethod(t, "grpc.testing.TestService/"+tt.method).Encoder().Append([]byte("x"), []byte(tt.json))
			wantError(t, err, tt.says...)
			if string(out) != "x" {
				t.Errorf("left %q behind, want %q", out, "x")
			}
		})
	}
}

// TestEncoderForgets: a message has nothing of the one before.
func TestEncoderForgets(t *testing.T) {
	e := testMethod(t, "grpc.testing.TestService/UnaryCall").Encoder()
	if _, err := e.Append(nil, []byte(`{"responseSize": 7, "payload": {"body": "AAEC"}}`)); err != nil {
		t.Fatal(err)
	}
	_, _ = e.Append(nil, []byte(`{"responseSize": 9, "x": 1}`))
	for _, empty := range []string{"", "{}"} {
		if got, err := e.Append(nil, []byte(empty)); err != nil || len(got) != prefixSize {
			t.Errorf("%q became % x, %v; want a prefix alone", empty, got, err)
		}
		if _, err := e.Append(nil, []byte(`{"responseSize": 7}`)); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzEncoder(f *testing.F) {
	f.Add(`{"responseSize": 7, "payload": {"body": "AAEC"}}`)
	f.Add(`{"respnseSize": 7}`)
	f.Add(`{"a":{"b":[1,{}]}}`)
	m := testMethod(f, "grpc.testing.TestService/UnaryCall")
	f.Fuzz(func(t *testing.T, message string) {
		out, err := m.Encoder().Append(nil, []byte(message))
		if err != nil {
			return
		}
		if err := proto.Unmarshal(out[prefixSize:], new(grpc_testing.SimpleRequest)); err != nil {
			t.Errorf("%s became what can't be read: %v", message, err)
		}
	})
}

func BenchmarkEncoder(b *testing.B) {
	e := testMethod(b, "grpc.testing.TestService/UnaryCall").Encoder()
	message := fmt.Appendf(nil, `{"responseSize": 7, "fillUsername": true, "responseStatus": {"code": 0, "message": %q}}`, "customer 4711")
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, err = e.Append(out[:0], message); err != nil {
			b.Fatal(err)
		}
	}
}
