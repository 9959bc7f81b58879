package loadgen

import (
	"context"
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/grpc"
	"github.com/sailplan-io/sailplan/scenarios"
)

// calls turns the plan's mix into calls of gRPC. The server is asked for methods
// that name no descriptor set. secure is nil for cleartext.
func calls(ctx context.Context, plan scenarios.Plan, secure *dial.TLS) ([]exchange.Request, error) {
	methods, err := methods(ctx, plan, secure)
	if err != nil {
		return nil, err
	}
	built := make([]exchange.Request, 0, len(plan.Requests))
	for i, r := range plan.Requests {
		fields, authority, err := headers(plan, r)
		if err != nil {
			return nil, fmt.Errorf("request %q: %w", r.Name, err)
		}
		timeout := r.Timeout
		if timeout <= 0 {
			timeout = plan.Timeout
		}
		request, err := methods[i].Request(grpc.RequestOptions{
			Name: r.Name, Scheme: plan.Endpoint.Scheme, Authority: authority, Prefix: plan.Endpoint.Path,
			Metadata: fields, Timeout: timeout, Message: r.GRPC.Message,
		})
		if err != nil {
			return nil, fmt.Errorf("request %q: %w", r.Name, err)
		}
		built = append(built, request)
	}
	return built, nil
}

// methods finds the methods of the mix, in its order.
func methods(ctx context.Context, plan scenarios.Plan, secure *dial.TLS) ([]*grpc.Method, error) {
	server := grpc.ReflectOptions{Address: plan.Endpoint.Address, Authority: plan.Endpoint.Authority}
	if secure != nil {
		server.TLS = secure.Config()
	}
	wanted := make([]grpc.Wanted, 0, len(plan.Requests))
	for _, r := range plan.Requests {
		if r.GRPC == nil {
			return nil, fmt.Errorf("request %q: with protocol grpc it needs grpc.method", r.Name)
		}
		if r.GRPC.DescriptorSet == "" && server.Metadata == nil {
			// A gateway may want to see the same metadata as on calls.
			fields, _, err := headers(plan, r)
			if err != nil {
				return nil, fmt.Errorf("request %q: %w", r.Name, err)
			}
			for _, f := range fields {
				if f.Name != "user-agent" && !strings.HasPrefix(f.Name, "grpc-") {
					server.Metadata = append(server.Metadata, f)
				}
			}
		}
		wanted = append(wanted, grpc.Wanted{Method: r.GRPC.Method, DescriptorSet: r.GRPC.DescriptorSet})
	}
	return grpc.Find(ctx, server, wanted)
}
