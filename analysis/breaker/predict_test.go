package breaker_test

import (
	"math"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/breaker"
)

func TestPredict(t *testing.T) {
	for _, test := range []struct {
		name string
		o    breaker.Overload
		// shed is the share that is refused at the balance; the first places that fill
		// are added by the test.
		shed float64
	}{
		// The shares were worked out with Python, by the recursion b = a·b/(k + a·b) from
		// b = 1: B(137, 100), B(75, 50), B(20, 10).
		{"one client", breaker.Overload{Clients: 1, Endpoints: 1, ClientLimit: 100, Rate: 411, HoldSeconds: 1. / 3, Seconds: 300}, 0.286959},
		{"two clients share", breaker.Overload{Clients: 2, Endpoints: 1, ClientLimit: 50, Rate: 150, HoldSeconds: 1, Seconds: 1000}, 0.355579},
		{"endpoints", breaker.Overload{Clients: 1, Endpoints: 3, ServerLimit: 10, Rate: 60, HoldSeconds: 1, Seconds: 1000}, 0.537963},
		{"no limit", breaker.Overload{Clients: 1, Endpoints: 1, Rate: 60, HoldSeconds: 1, Seconds: 1000}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := breaker.Predict(test.o)
			if err != nil {
				t.Fatal(err)
			}
			all := test.o.Rate * test.o.Seconds
			places := test.o.Rate * test.o.HoldSeconds * (1 - test.shed)
			first := 0.0
			if test.shed > 0 {
				first = places * (13./24 - (1-test.shed)/2)
			}
			if want := all*test.shed - first; math.Abs(got.Shed-want) > 0.0005*all {
				t.Errorf("got %.1f shed of %.0f, want %.1f", got.Shed, all, want)
			}
			if math.Abs(got.Admitted+got.Shed-all) > 1e-6*all {
				t.Errorf("got %.1f and %.1f of %.0f", got.Admitted, got.Shed, all)
			}
		})
	}
}

// With one retry, β = B(a·(1+β), n) and β² is lost. For a = 15 and n = 10 bisection in
// Python found β = 0.610205.
func TestPredictRetries(t *testing.T) {
	got, err := breaker.Predict(breaker.Overload{Clients: 1, Endpoints: 1, ServerLimit: 10, Rate: 15, HoldSeconds: 1, Seconds: 1e6, Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	const beta = 0.610205
	if want := beta * beta * 15e6; math.Abs(got.Shed-want) > 1e-3*want {
		t.Errorf("got %.0f shed, want %.0f", got.Shed, want)
	}
}
