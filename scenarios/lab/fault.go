package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Network is what becomes of connections to a replica of the test service.
type Network string

// The networks.
const (
	NetworkFine   Network = ""       // connections are accepted and served
	NetworkRefuse Network = "refuse" // nothing listens: connecting is refused
	NetworkIgnore Network = "ignore" // the backlog is full: attempts to connect are dropped without a word
	NetworkSilent Network = "silent" // connections are accepted, and nothing is ever read or answered
	NetworkClose  Network = "close"  // connections are accepted and closed at once
	NetworkReset  Network = "reset"  // connections are accepted and reset at once
)

// Fault is how a replica of the test service behaves while it is in force. The
// zero Fault is none: the service answers as it was configured.
type Fault struct {
	Hold    time.Duration `json:"hold,omitempty"`    // every answer takes so long, instead of the configured latency
	Random  bool          `json:"random,omitempty"`  // times lie evenly between half and one and a half of Hold
	Status  int           `json:"status,omitempty"`  // of every answer, instead of 200
	Refuse  bool          `json:"refuse,omitempty"`  // HTTP/2 streams are reset with REFUSED_STREAM
	Slots   int           `json:"slots,omitempty"`   // requests that are worked on at once, to their end; others wait in order, or are given up; 0: any number
	Network Network       `json:"network,omitempty"` // connections that are open end when it changes
	// Drop ends the connections that are open, once, and is no fault any more.
	Drop bool `json:"drop,omitempty"`
}

// ServiceState is what a replica of the test service has counted.
type ServiceState struct {
	Requests     int64 `json:"requests"`     // that came in whole
	Answered     int64 `json:"answered"`     // with any status
	Abandoned    int64 `json:"abandoned"`    // given up by the caller before the answer
	InFlight     int64 `json:"inFlight"`     // now
	Accepted     int64 `json:"accepted"`     // connections
	Connections  int64 `json:"connections"`  // open now
	PeakInFlight int64 `json:"peakInFlight"` // since the peaks were forgotten
	// PeakConnections and PeakStreams, on one connection, are since the peaks were
	// forgotten; MostRequests is what one connection carried over its life.
	PeakConnections int64 `json:"peakConnections"`
	PeakStreams     int64 `json:"peakStreams"`
	MostRequests    int64 `json:"mostRequests"`
}

// errNoFaults is the answer to questions about faults where the lab has none.
var errNoFaults = errors.New("the lab was started without faults")

// SetFault lets a replica of the service behave so from now on. It returns once
// the replica does.
func (l *Lab) SetFault(ctx context.Context, replica int, fault Fault) error {
	text, err := json.Marshal(fault)
	if err != nil {
		return fmt.Errorf("fault of service %d: %w", replica, err)
	}
	_, err = l.askService(ctx, replica, http.MethodPost, "/fault", text)
	return err
}

// ServiceState returns what a replica of the service has counted; forget makes its
// peaks begin anew.
func (l *Lab) ServiceState(ctx context.Context, replica int, forget bool) (ServiceState, error) {
	var state ServiceState
	text, err := l.askService(ctx, replica, http.MethodGet, "/state?forget="+strconv.FormatBool(forget), nil)
	if err != nil {
		return state, err
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return state, fmt.Errorf("state of service %d: %w", replica, err)
	}
	return state, nil
}

func (l *Lab) askService(ctx context.Context, replica int, method, path string, body []byte) ([]byte, error) {
	if replica < 0 || replica >= len(l.controls) {
		return nil, fmt.Errorf("service %d: %w", replica, errNoFaults)
	}
	client, done := plainClient()
	defer done()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+l.controls[replica]+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask service %d: %w", replica, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask service %d: %w", replica, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAdminBytes))
	if err != nil {
		return nil, fmt.Errorf("ask service %d: %w", replica, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask service %d: %s: %s", replica, response.Status, bytes.TrimSpace(text))
	}
	return text, nil
}
