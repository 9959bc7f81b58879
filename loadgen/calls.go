package loadgen

import (
	"context"
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/feed"
	"github.com/sailplan-io/sailplan/loadgen/grpc"
	"github.com/sailplan-io/sailplan/scenarios"
)

// methods finds the methods of the mix, in its order.
func methods(ctx context.Context, plan scenarios.Plan, secure *dial.TLS, credential exchange.Field) ([]*grpc.Method, error) {
	server := grpc.ReflectOptions{Address: plan.Endpoint.Address, Authority: plan.Endpoint.Authority}
	if secure != nil {
		server.TLS = secure.Config()
	}
	requests := plan.Requests
	if plan.Feed != nil {
		requests = feed.Fixed(requests)
	}
	wanted := make([]grpc.Wanted, 0, len(plan.Requests))
	for _, r := range requests {
		if r.GRPC == nil {
			return nil, fmt.Errorf("request %q: with protocol grpc it needs grpc.method", r.Name)
		}
		if r.GRPC.DescriptorSet == "" && server.Metadata == nil {
			// A gateway may want to see the same metadata as on calls.
			fields, _, err := headers(plan.RunID, plan.Endpoint, r)
			if err != nil {
				return nil, fmt.Errorf("request %q: %w", r.Name, err)
			}
			for _, f := range append(fields, metadata(credential)...) {
				if f.Name != "user-agent" && !strings.HasPrefix(f.Name, "grpc-") {
					server.Metadata = append(server.Metadata, f)
				}
			}
		}
		wanted = append(wanted, grpc.Wanted{Method: r.GRPC.Method, DescriptorSet: r.GRPC.DescriptorSet})
	}
	return grpc.Find(ctx, server, wanted)
}
