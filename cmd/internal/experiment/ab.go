package experiment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab/process"
)

// Side is one side of a comparison side by side.
type Side struct {
	Name    string  // base or new
	Options Options // of its runs; Dir and the seed are set for each
	// Start is a shell command that is the system under test: it is started before each
	// run of the side and ended after it. Empty: the system is there, or is a lab.
	Start string
}

// ABOptions say what is measured in turns.
type ABOptions struct {
	Dir       string // each run gets a folder in it
	Base, New Side
	// Together measures the sides of a pair at the same time instead of in turns: what
	// the machine does then meets both in the same instants.
	Together bool
	// More is asked before each pair, with how many there are; it returns false to end.
	More func(pairs int) bool
	// Begin is told before each run of which pair and side it is; of both at once with an
	// empty side. Pairs count from 0.
	Begin func(pair int, side string)
	// Pair is told after each pair where its runs are.
	Pair func(pair int, base, after string)
}

// AB measures two sides in turns, A B B A, or together, until More says that it is
// enough. It returns how the first run ended that did not come to its end, and why.
func AB(ctx context.Context, o ABOptions) (record.Ending, error) {
	if err := checkDir(o.Dir); err != nil {
		return record.EndedFailed, err
	}
	for pair := 0; o.More(pair); pair++ {
		measure := o.inTurns
		if o.Together {
			measure = o.atOnce
		}
		if ending, err := measure(ctx, pair); err != nil || ending != record.EndedDone {
			return ending, err
		}
		o.Pair(pair, pairDir(o.Dir, pair, o.Base.Name), pairDir(o.Dir, pair, o.New.Name))
	}
	return record.EndedDone, nil
}

// inTurns measures one side of a pair after the other.
func (o ABOptions) inTurns(ctx context.Context, pair int) (record.Ending, error) {
	sides := [2]Side{o.Base, o.New}
	for _, i := range order(pair) {
		side := sides[i]
		// The same arrivals on both sides of a pair, others in the next one.
		side.Options.Scenario.Seed += uint64(pair)
		side.Options.Dir = pairDir(o.Dir, pair, side.Name)
		o.Begin(pair, side.Name)
		if ending, err := side.measure(ctx); err != nil || ending != record.EndedDone {
			return ending, wrapSide(err, side.Name, pair)
		}
	}
	return record.EndedDone, nil
}

// order returns the sides of a pair as they are started: 0 is the base.
func order(pair int) [2]int {
	if compare.BaseFirst(pair) {
		return [2]int{0, 1}
	}
	return [2]int{1, 0}
}

// atOnce measures both sides of a pair at the same time. When one fails, the other is
// ended, too.
func (o ABOptions) atOnce(ctx context.Context, pair int) (record.Ending, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sides := [2]Side{o.Base, o.New}
	var endings [2]record.Ending
	var errs [2]error
	o.Begin(pair, "")
	first := make(chan int, len(sides)) // that did not come to its end
	var running sync.WaitGroup
	// Who is started first is done first, and the other has the machine to itself for a
	// moment: so here, too, each side in its turn.
	for _, i := range order(pair) {
		side := sides[i]
		// Other arrivals on each side: the same ones would come in a fixed order, and
		// who always comes second finds the caches warm.
		side.Options.Scenario.Seed += uint64(len(sides)*pair + i)
		side.Options.Dir = pairDir(o.Dir, pair, side.Name)
		running.Go(func() {
			if endings[i], errs[i] = side.measure(ctx); errs[i] != nil || endings[i] != record.EndedDone {
				first <- i
				cancel(fmt.Errorf("%s did not come to its end", side.Name))
			}
		})
	}
	running.Wait()
	select {
	case i := <-first:
		return endings[i], wrapSide(errs[i], sides[i].Name, pair)
	default:
		return record.EndedDone, nil
	}
}

func wrapSide(err error, side string, pair int) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s, pair %d: %w", side, pair+1, err)
}

func pairDir(dir string, pair int, side string) string {
	return filepath.Join(dir, fmt.Sprintf("%03d-%s", pair+1, side))
}

// measure makes one run of a side.
func (s Side) measure(ctx context.Context) (ending record.Ending, err error) {
	if s.Start != "" {
		stop, err := s.start(ctx)
		if err != nil {
			ending, _ := endingOf(ctx, err)
			return ending, err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	return Load(ctx, s.Options)
}

const (
	// startWithin is how long a command has to listen where the load goes.
	startWithin = time.Minute
	startLook   = 50 * time.Millisecond
	startGrace  = 5 * time.Second
)

// start starts the side's command and waits until its address takes connections. stop
// ends it and all that it started.
func (s Side) start(ctx context.Context) (stop func() error, err error) {
	plan, err := scenarios.Resolve(s.Options.Scenario)
	if err != nil {
		return nil, err
	}
	if taken(ctx, plan.Endpoint.Address) {
		return nil, fmt.Errorf("something listens at %s before the command of %s is started; end it, or leave out the command", plan.Endpoint.Address, s.Name)
	}
	here, err := filepath.Abs(".") // where the user is: ./server is meant from there
	if err != nil {
		return nil, fmt.Errorf("the working folder of the command of %s: %w", s.Name, err)
	}
	owner, err := process.NewOwner(process.Config{StateDir: s.Options.StateDir})
	if err != nil {
		return nil, err
	}
	stop = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return owner.Close(ctx)
	}
	child, err := owner.Start(ctx, process.Options{Name: s.Name, Path: "/bin/sh", Args: []string{"-c", s.Start}, Env: s.Options.Environment, Dir: here})
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	end := stop
	stop = func() error {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return errors.Join(child.Stop(stopping, startGrace), end())
	}
	deadline, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("the command of %s does not listen at %s after %s", s.Name, plan.Endpoint.Address, startWithin))
	defer cancel()
	look := time.NewTicker(startLook)
	defer look.Stop()
	for !taken(deadline, plan.Endpoint.Address) {
		select {
		case <-child.Exited():
			return nil, errors.Join(fmt.Errorf("the command of %s ended before it listened at %s: %s", s.Name, plan.Endpoint.Address, child.Describe()), stop())
		case <-deadline.Done():
			return nil, errors.Join(context.Cause(deadline), stop())
		case <-look.C:
		}
	}
	return stop, nil
}

// taken reports whether an address takes connections.
func taken(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
