package h2

import (
	"math/rand/v2"
	"testing"
)

// TestIndex compares the table with a map, over identifiers that rise as they do
// on a connection, with some streams that stay open for long.
func TestIndex(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var x index
	model := map[uint32]int32{}
	var open []uint32
	next := uint32(1)
	for step := range 200_000 {
		if len(open) == 0 || len(open) < 300 && random.IntN(2) == 0 {
			slot := int32(random.IntN(1000))
			x.insert(next, slot)
			model[next] = slot
			open = append(open, next)
			next += 2
			if random.IntN(1000) == 0 {
				next += 2 * uint32(random.IntN(5000)) // a hole
			}
		} else {
			// Mostly young streams end, so that old ones stay.
			i := len(open) - 1 - random.IntN(min(len(open), 1+random.IntN(300)))
			x.remove(open[i])
			delete(model, open[i])
			open = append(open[:i], open[i+1:]...)
		}
		if x.used != len(model) {
			t.Fatalf("step %d: %d entries, want %d", step, x.used, len(model))
		}
		if step%97 == 0 {
			for id, want := range model {
				if got := x.find(id); got != want {
					t.Fatalf("step %d: stream %d in slot %d, want %d", step, id, got, want)
				}
			}
			if got := x.find(next); got != -1 {
				t.Fatalf("step %d: found a stream that was never opened, in slot %d", step, got)
			}
		}
	}
	if len(x.ids) > 2048 {
		t.Errorf("the table has %d places for at most 300 streams", len(x.ids))
	}
}
