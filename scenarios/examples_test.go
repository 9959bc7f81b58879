package scenarios_test

import (
	"testing"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestExamplesResolve(t *testing.T) {
	for _, name := range scenarios.Examples() {
		t.Run(name, func(t *testing.T) {
			data, ok := scenarios.Example(name)
			if !ok {
				t.Fatalf("no text for example %s", name)
			}
			s, err := scenarios.Decode(name+".yaml", data)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := scenarios.Resolve(*s)
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Phases) == 0 {
				t.Error("got no phases, want those of run")
			}
		})
	}
	if _, ok := scenarios.Example("../examples/init"); ok {
		t.Error("got a text for a name that is not an example")
	}
}
