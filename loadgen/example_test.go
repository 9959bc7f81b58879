//go:build linux

package loadgen_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios"
)

func ExampleRun() {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ahoy") }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()

	address := server.Listener.Addr().String()
	facts, err := loadgen.Run(context.Background(), scenarios.Plan{
		Endpoint: scenarios.Endpoint{Scheme: "https", Authority: address, Address: address,
			Protocol: scenarios.ProtocolH2, TLS: scenarios.TLS{Insecure: true}},
		Connections: scenarios.Connections{Count: 2, StreamsPerConnection: 10},
		Requests:    []scenarios.Request{{Name: "greet", Weight: 1, Path: "/"}},
		Timeout:     10 * time.Second,
	}, scenarios.Phase{
		Process: scenarios.Constant, Rate: scenarios.PerSecond(500), Duration: 200 * time.Millisecond,
	}, nil, loadgen.Options{})
	fmt.Println(facts.Counts.Answered, facts.Statuses, err)
	// Output: 100 map[200:100] <nil>
}
