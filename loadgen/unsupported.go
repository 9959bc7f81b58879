//go:build !linux

package loadgen

import (
	"context"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Session holds the connections to a target; there is none on this platform.
type Session struct{}

// Open returns dial.ErrPlatform.
func Open(context.Context, scenarios.Plan, Options) (*Session, error) { return nil, dial.ErrPlatform }

// Run returns dial.ErrPlatform.
func Run(context.Context, scenarios.Plan, scenarios.Phase, Sink, Options) (record.Phase, error) {
	return record.Phase{}, dial.ErrPlatform
}

// Check returns dial.ErrPlatform.
func Check(context.Context, scenarios.Plan, Options) (Reachable, error) {
	return Reachable{}, dial.ErrPlatform
}

// Phase returns dial.ErrPlatform.
func (*Session) Phase(context.Context, scenarios.Phase, Sink) (record.Phase, error) {
	return record.Phase{}, dial.ErrPlatform
}

// Close does nothing.
func (*Session) Close() error { return nil }
