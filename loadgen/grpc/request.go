package grpc

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// RequestOptions are what a kind of request has besides its method.
type RequestOptions struct {
	Name      string // of the mix
	Scheme    string // http or https
	Authority string
	Prefix    string // of the path, without a trailing slash; empty as a rule
	// Metadata are the user's; names in lower case. The values of names that end
	// in -bin are base64.
	Metadata []exchange.Field
	Timeout  time.Duration // told to the server as grpc-timeout; 0: none
	Message  string        // JSON; unused with Varies
	Varies   bool          // each sending brings its message, as Variation.Body from an Encoder
	Check    *exchange.Check
}

// Request returns the method as a kind of request.
func (m *Method) Request(o RequestOptions) (exchange.Request, error) {
	request := exchange.Request{
		Name: o.Name,
		Fields: []exchange.Field{
			{Name: ":method", Value: "POST"},
			{Name: ":scheme", Value: o.Scheme},
			{Name: ":authority", Value: o.Authority},
			{Name: ":path", Value: o.Prefix + "/" + m.name},
			{Name: "content-type", Value: "application/grpc"},
			{Name: "te", Value: "trailers"},
		},
		Check: o.Check,
		Call:  &exchange.Call{ServerStreaming: m.ServerStreaming()},
	}
	if o.Timeout > 0 {
		request.Fields = append(request.Fields, exchange.Field{Name: "grpc-timeout", Value: timeout(o.Timeout)})
	}
	for _, f := range o.Metadata {
		if err := checkMetadata(f); err != nil {
			return exchange.Request{}, err
		}
		request.Fields = append(request.Fields, f)
	}
	if o.Varies {
		return request, nil
	}
	body, err := m.Encoder().Append(nil, []byte(o.Message))
	if err != nil {
		return exchange.Request{}, err
	}
	request.Body = body
	return request, nil
}

// timeout writes a duration > 0 as the protocol has it: at most eight digits and
// a unit. It is rounded up to the unit.
func timeout(d time.Duration) string {
	const digits = 100_000_000
	units := []struct {
		size time.Duration
		name string
	}{
		{time.Nanosecond, "n"}, {time.Microsecond, "u"}, {time.Millisecond, "m"}, {time.Second, "S"}, {time.Minute, "M"},
	}
	for _, unit := range units {
		n := (d-1)/unit.size + 1
		if n < digits {
			return strconv.FormatInt(int64(n), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64((d-1)/time.Hour+1), 10) + "H"
}

// checkMetadata checks what can't be sent as metadata of a call.
func checkMetadata(f exchange.Field) error {
	switch f.Name {
	case "content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-status", "grpc-message", "content-length":
		return fmt.Errorf("header %s belongs to the protocol of gRPC and can't be set", f.Name)
	}
	if f.Name == "" || strings.ContainsFunc(f.Name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}) {
		return fmt.Errorf("header %q can't be metadata of a call", f.Name)
	}
	if strings.HasSuffix(f.Name, "-bin") {
		encoding := base64.StdEncoding
		if len(f.Value)%4 != 0 {
			encoding = base64.RawStdEncoding
		}
		if _, err := encoding.DecodeString(f.Value); err != nil {
			return fmt.Errorf("header %s: values of names that end in -bin are base64: %w", f.Name, err)
		}
	}
	if strings.ContainsFunc(f.Value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("header %s: a value with anything but printable ASCII", f.Name)
	}
	return nil
}
