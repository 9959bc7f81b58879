package loadgen

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/scenarios"
)

// requests turns the plan's mix into what connections encode.
func requests(plan scenarios.Plan) ([]exchange.Request, error) {
	built := make([]exchange.Request, 0, len(plan.Requests))
	for _, r := range plan.Requests {
		request, err := request(plan, r)
		if err != nil {
			return nil, fmt.Errorf("request %q: %w", r.Name, err)
		}
		built = append(built, request)
	}
	return built, nil
}

func request(plan scenarios.Plan, r scenarios.Request) (exchange.Request, error) {
	if plan.Endpoint.Protocol == scenarios.ProtocolGRPC {
		return exchange.Request{Name: r.Name}, nil // calls makes it
	}
	method := r.Method
	if method == "" {
		method = "GET"
	}
	path := plan.Endpoint.Path + r.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	headers, authority, err := headers(plan, r)
	if err != nil {
		return exchange.Request{}, err
	}
	fields := append([]exchange.Field{
		{Name: ":method", Value: method},
		{Name: ":scheme", Value: plan.Endpoint.Scheme},
		{Name: ":authority", Value: authority},
		{Name: ":path", Value: path},
	}, headers...)
	return exchange.Request{Name: r.Name, Fields: fields, Body: []byte(r.Body)}, nil
}

// headers returns the regular fields in a fixed order, and the authority, which
// a host header replaces.
func headers(plan scenarios.Plan, r scenarios.Request) (fields []exchange.Field, authority string, err error) {
	set := map[string]string{"user-agent": "sailplan"}
	if r.Body != "" {
		set["content-length"] = strconv.Itoa(len(r.Body))
	}
	for name, value := range r.Headers {
		set[strings.ToLower(name)] = value
	}
	if plan.RunID != "" {
		set["x-sailplan-run"] = plan.RunID
	}
	authority = plan.Endpoint.Authority
	for name, value := range set {
		switch name {
		case "host":
			authority = value
			continue
		case "connection", "keep-alive", "proxy-connection":
			if plan.Endpoint.Protocol != scenarios.ProtocolHTTP1 {
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

// weights returns the weights of the mix in its order.
func weights(plan scenarios.Plan) []float64 {
	w := make([]float64, 0, len(plan.Requests))
	for _, r := range plan.Requests {
		w = append(w, r.Weight)
	}
	return w
}
