package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/cmd/internal/live"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// watchers tells several observers.
type watchers []experiment.Observer

func (w watchers) Note(message string) {
	for _, o := range w {
		o.Note(message)
	}
}

func (w watchers) PhaseStart(index int, spec scenarios.Phase) {
	for _, o := range w {
		o.PhaseStart(index, spec)
	}
}

func (w watchers) Tick(t record.Tick) {
	for _, o := range w {
		o.Tick(t)
	}
}

func (w watchers) PhaseEnd(s analysis.PhaseSummary) {
	for _, o := range w {
		o.PhaseEnd(s)
	}
}

// farewell is how long a scrape that goes on at the end may take.
const farewell = 2 * time.Second

// export serves the running figures at an address until stop is called; with an
// empty address it does nothing, and the exporter is nil.
func (a *app) export(address string, view *live.View) (exporter *live.Exporter, stop func(), err error) {
	if address == "" {
		return nil, func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("--listen %s: %w", address, err)
	}
	exporter = live.NewExporter()
	server := &http.Server{Handler: exporter, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	view.Note("figures for Prometheus: http://" + listener.Addr().String() + "/metrics")
	return exporter, func() {
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close()
		}
		if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
			view.Note("serving figures for Prometheus: " + err.Error())
		}
	}, nil
}
