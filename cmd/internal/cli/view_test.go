package cli

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/cmd/internal/live"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// written collects what a view writes from several goroutines.
type written struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// TestPanelOfAFailingLoad: a real load whose answers fail shows by which classes,
// and the rate that its shape intends at the moment.
func TestPanelOfAFailingLoad(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) % 3 {
		case 0:
			w.WriteHeader(http.StatusTooManyRequests)
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	server.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Close()
		<-served
	}()
	var out written
	view := live.New(&out, live.Options{Terminal: true, Width: 200, Now: time.Now})
	ending, err := experiment.Load(context.Background(), experiment.Options{
		Scenario: scenarios.Defaults(scenarios.Scenario{
			Metadata: scenarios.Metadata{Name: "failing"}, Target: &scenarios.Target{URL: "http://" + listener.Addr().String()},
			Requests:    []scenarios.Request{{Name: "a", Path: "/"}},
			Connections: scenarios.Connections{Count: 1},
			Load: scenarios.Load{Duration: 3 * time.Second, Arrivals: scenarios.Constant, Shape: &scenarios.Shape{Steps: []scenarios.StepShape{
				{Rate: scenarios.PerSecond(50), For: 1500 * time.Millisecond}, {Rate: scenarios.PerSecond(170), For: time.Second},
			}}},
			Guards: scenarios.Guards{MaxErrorRatio: 1},
		}),
		Dir: filepath.Join(t.TempDir(), "run"), Observer: view,
	})
	view.Close()
	if err != nil || ending != record.EndedDone {
		t.Fatalf("ended %s, %v", ending, err)
	}
	if got := out.text.String(); !regexp.MustCompile(`errors \d+: (rate-limited|service-5xx) \d+, (rate-limited|service-5xx) \d+`).MatchString(got) {
		t.Errorf("the panel does not tell the classes:\n%q", got)
	}
	for _, want := range []string{"50/s intended", "170/s intended"} {
		if !strings.Contains(out.text.String(), want) {
			t.Errorf("the panel never has %s:\n%q", want, out.text.String())
		}
	}
}
