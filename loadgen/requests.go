package loadgen

import (
	"cmp"
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/feed"
	"github.com/sailplan-io/sailplan/loadgen/grpc"
	"github.com/sailplan-io/sailplan/scenarios"
)

// builder turns the plan's mix into what connections encode.
type builder struct {
	plan    scenarios.Plan
	fixed   []scenarios.Request // without what a feed fills in
	methods []*grpc.Method      // by request; nil where it is no call
}

// newBuilder returns a builder. The server is asked for the methods of calls that
// name no descriptor set; secure is nil for cleartext.
func newBuilder(ctx context.Context, plan scenarios.Plan, secure *dial.TLS, credential exchange.Field) (*builder, error) {
	b := &builder{plan: plan, fixed: plan.Requests, methods: make([]*grpc.Method, len(plan.Requests))}
	if plan.Feed != nil {
		b.fixed = feed.Fixed(plan.Requests)
	}
	if plan.Endpoint.Protocol != scenarios.ProtocolGRPC {
		return b, nil
	}
	var err error
	if b.methods, err = methods(ctx, plan, secure, credential); err != nil {
		return nil, err
	}
	return b, nil
}

func metadata(credential exchange.Field) []exchange.Field {
	if credential.Name == "" {
		return nil
	}
	return []exchange.Field{credential}
}

// requests returns the mix as it is sent to an endpoint. credential is the field
// that carries it; without a name there is none.
func (b *builder) requests(to scenarios.Endpoint, credential exchange.Field) ([]exchange.Request, error) {
	built := make([]exchange.Request, 0, len(b.fixed))
	for i := range b.fixed {
		request, err := b.request(i, to, credential)
		if err != nil {
			return nil, fmt.Errorf("request %q: %w", b.fixed[i].Name, err)
		}
		built = append(built, request)
	}
	return built, nil
}

func (b *builder) request(kind int, to scenarios.Endpoint, credential exchange.Field) (exchange.Request, error) {
	r, original := b.fixed[kind], b.plan.Requests[kind]
	headers, authority, err := headers(b.plan.RunID, to, r)
	if err != nil {
		return exchange.Request{}, err
	}
	headers = append(headers, metadata(credential)...)
	check, err := check(r.Check)
	if err != nil {
		return exchange.Request{}, err
	}
	if method := b.methods[kind]; method != nil {
		return method.Request(grpc.RequestOptions{
			Name: r.Name, Scheme: to.Scheme, Authority: authority, Prefix: to.Path, Metadata: headers,
			Timeout: cmp.Or(r.Timeout, b.plan.Timeout), Message: r.GRPC.Message,
			Varies: r.GRPC.Message == "" && original.GRPC.Message != "", Check: check,
		})
	}
	method := cmp.Or(r.Method, "GET")
	fields := []exchange.Field{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: to.Scheme}, {Name: ":authority", Value: authority},
	}
	// A path that varies comes with each sending.
	if r.Path != "" || original.Path == "" {
		path := to.Path + r.Path
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		fields = append(fields, exchange.Field{Name: ":path", Value: path})
	}
	return exchange.Request{Name: r.Name, Fields: append(fields, headers...), Body: []byte(r.Body), Check: check}, nil
}

// feed opens the feed of one of several workers, nil when the plan has none.
func (b *builder) feed(ctx context.Context, worker, workers int) (*feed.Feed, error) {
	if b.plan.Feed == nil {
		return nil, nil
	}
	encoders := make([]*grpc.Encoder, len(b.methods))
	for i, method := range b.methods {
		if method != nil {
			encoders[i] = method.Encoder()
		}
	}
	f, err := feed.Open(ctx, feed.Options{
		Feed: *b.plan.Feed, Requests: b.plan.Requests, Prefix: b.plan.Endpoint.Path, Worker: worker, Workers: workers,
		Encode: func(kind int, out, message []byte) ([]byte, error) { return encoders[kind].Append(out, message) },
	})
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", b.plan.Name, err)
	}
	return f, nil
}

// check returns what an answer has to show.
func check(c *scenarios.Check) (*exchange.Check, error) {
	if c == nil {
		return nil, nil
	}
	statuses, err := scenarios.ParseStatuses(c.Status)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	out := &exchange.Check{}
	for _, s := range statuses {
		out.Status = append(out.Status, exchange.StatusRange(s))
	}
	for name, value := range c.Header {
		out.Header = exchange.Field{Name: strings.ToLower(name), Value: value}
	}
	if c.Body != "" {
		out.Body = []byte(c.Body)
	}
	return out, nil
}

// headers returns the regular fields in a fixed order, and the authority, which
// a host header replaces.
func headers(runID string, to scenarios.Endpoint, r scenarios.Request) (fields []exchange.Field, authority string, err error) {
	set := map[string]string{"user-agent": "sailplan"}
	if r.Body != "" {
		set["content-length"] = strconv.Itoa(len(r.Body))
	}
	for name, value := range r.Headers {
		set[strings.ToLower(name)] = value
	}
	if runID != "" {
		set["x-sailplan-run"] = runID
	}
	authority = to.Authority
	for name, value := range set {
		switch name {
		case "host":
			authority = value
			continue
		case "connection", "keep-alive", "proxy-connection":
			if to.Protocol != scenarios.ProtocolHTTP1 {
				return nil, "", fmt.Errorf("header %s belongs to HTTP/1.1 and is not allowed in HTTP/2", name)
			}
		case "transfer-encoding", "upgrade":
			return nil, "", fmt.Errorf("header %s can't be sent: bodies have a length, and the protocol stays", name)
		}
		if strings.HasPrefix(name, ":") || strings.ContainsAny(name+value, "\r\n\x00") || name == "" {
			return nil, "", fmt.Errorf("header %q can't be sent", name)
		}
		fields = append(fields, exchange.Field{Name: name, Value: value})
	}
	sort.Slice(fields, func(i, j int) bool { return fields[i].Name < fields[j].Name })
	return fields, authority, nil
}

// weights returns the weights of a phase's mix in the order of the plan's requests.
func weights(plan scenarios.Plan, phase scenarios.Phase) []float64 {
	if len(phase.Mix) > 0 {
		return phase.Mix
	}
	w := make([]float64, 0, len(plan.Requests))
	for _, r := range plan.Requests {
		w = append(w, r.Weight)
	}
	return w
}
