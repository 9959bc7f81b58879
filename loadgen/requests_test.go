package loadgen

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/scenarios"
)

func TestRequests(t *testing.T) {
	plan := scenarios.Plan{
		Endpoint: scenarios.Endpoint{Scheme: "https", Authority: "shop.example.com", Path: "/api"},
		RunID:    "r-1",
		Requests: []scenarios.Request{
			{Name: "get", Path: "/a?b=c"},
			{Name: "post", Method: "POST", Path: "/p", Body: "hello", Headers: map[string]string{"Content-Type": "text/plain", "Host": "other.example.com", "User-Agent": "me"}},
		},
	}
	got, err := built(plan)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]exchange.Field{
		{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "shop.example.com"}, {Name: ":path", Value: "/api/a?b=c"},
			{Name: "user-agent", Value: "sailplan"}, {Name: "x-sailplan-run", Value: "r-1"}},
		{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "other.example.com"}, {Name: ":path", Value: "/api/p"},
			{Name: "content-length", Value: "5"}, {Name: "content-type", Value: "text/plain"}, {Name: "user-agent", Value: "me"}, {Name: "x-sailplan-run", Value: "r-1"}},
	}
	for i := range want {
		if !slices.Equal(got[i].Fields, want[i]) {
			t.Errorf("request %s: %v, want %v", got[i].Name, got[i].Fields, want[i])
		}
	}
	if string(got[1].Body) != "hello" || len(got[0].Body) != 0 {
		t.Errorf("bodies %q and %q, want none and hello", got[0].Body, got[1].Body)
	}
}

func TestRequestsRefused(t *testing.T) {
	for name, headers := range map[string]map[string]string{
		"connection": {"Connection": "close"}, "transfer-encoding": {"Transfer-Encoding": "chunked"},
		"line break": {"X": "a\r\nb"}, "pseudo-header": {":path": "/"}, "no name": {"": "x"},
	} {
		plan := scenarios.Plan{Requests: []scenarios.Request{{Name: "r", Headers: headers}}}
		if _, err := built(plan); err == nil || !strings.Contains(err.Error(), `request "r"`) {
			t.Errorf("%s: error %v, want one that names the request", name, err)
		}
	}
}

func built(plan scenarios.Plan) ([]exchange.Request, error) {
	b, err := newBuilder(context.Background(), plan, nil, exchange.Field{})
	if err != nil {
		return nil, err
	}
	return b.requests(plan.Endpoint, exchange.Field{})
}
