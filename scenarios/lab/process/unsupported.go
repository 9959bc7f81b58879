//go:build !linux

package process

import (
	"context"
	"time"
)

// Owner starts no children on this platform.
type Owner struct{}

// Process is one started child; there is none on this platform.
type Process struct{}

// NewOwner returns ErrPlatform.
func NewOwner(Config) (*Owner, error) { return nil, ErrPlatform }

// Sweep has nothing to remove.
func Sweep(context.Context, string) (Swept, error) { return Swept{}, nil }

// Shim returns ErrPlatform.
func Shim([]string) error { return ErrPlatform }

// Folder returns nothing.
func (*Owner) Folder() string { return "" }

// WhyNoLimits returns ErrPlatform's text.
func (*Owner) WhyNoLimits() []string { return []string{ErrPlatform.Error()} }

// Start returns ErrPlatform.
func (*Owner) Start(context.Context, Options) (*Process, error) { return nil, ErrPlatform }

// Close does nothing.
func (*Owner) Close(context.Context) error { return nil }

// Name returns nothing.
func (*Process) Name() string { return "" }

// PID returns 0.
func (*Process) PID() int { return 0 }

// Cgroup returns none.
func (*Process) Cgroup() (Cgroup, bool) { return Cgroup{}, false }

// LimitCPU returns ErrPlatform.
func (Cgroup) LimitCPU(int64) error { return ErrPlatform }

// LimitsBind returns false.
func (*Process) LimitsBind() bool { return false }

// Exited returns nil: a process that never was never ends.
func (*Process) Exited() <-chan struct{} { return nil }

// Exit returns nothing.
func (*Process) Exit() Exit { return Exit{} }

// Tail returns nothing.
func (*Process) Tail() []string { return nil }

// Describe returns ErrPlatform's text.
func (*Process) Describe() string { return ErrPlatform.Error() }

// Stop returns ErrPlatform.
func (*Process) Stop(context.Context, time.Duration) error { return ErrPlatform }
