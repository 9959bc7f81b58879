package analysis

import (
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// TestWhyConnectingFailed sums up to the load, and keeps what was said first.
func TestWhyConnectingFailed(t *testing.T) {
	phase := func(index int, failed int64, why string) examined {
		return examined{PhaseData: record.PhaseData{Phase: record.Phase{Index: index, Connection: record.Connections{OpenFailed: failed, OpenError: why}}}}
	}
	phases := []examined{phase(0, 0, ""), phase(1, 3, "refused"), phase(2, 4, "timeout"), phase(3, 100, "later")}
	if got := connectionSummary(phases[2], phases); got.OpenFailed != 7 || got.OpenError != "refused" {
		t.Errorf("got %d times, first %q; want 7, refused", got.OpenFailed, got.OpenError)
	}
}
