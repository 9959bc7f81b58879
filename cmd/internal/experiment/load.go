package experiment

import (
	"context"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Load sends the scenario's own load and leaves a run directory.
func Load(ctx context.Context, options Options) (record.Ending, error) {
	r, ctx, err := start(ctx, "run", options)
	if err != nil {
		ending, _ := endingOf(ctx, err)
		return ending, err
	}
	err = r.load(ctx, r.plan.Phases)
	ending, why := endingOf(ctx, err)
	if closeErr := r.close(ending, why); err == nil {
		err = closeErr
	}
	return ending, err
}

func (r *runner) load(ctx context.Context, phases []scenarios.Phase) error {
	for _, spec := range phases {
		if _, _, err := r.phase(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}
