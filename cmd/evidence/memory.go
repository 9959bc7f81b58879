package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// memorySteps halve the bracket between a rate that a climb survived and the one at
// which a component ran out of memory.
const memorySteps = 4

// outOfMemory returns what ran out of memory in a sizing, as bound does; empty when
// nothing did.
func outOfMemory(recs []*record.Record) string {
	for _, rec := range recs {
		for _, e := range rec.Events {
			if e.Kind != record.EventComponent || !strings.Contains(e.Message, "memory limit exceeded") {
				continue
			}
			for _, c := range rec.Components {
				if strings.Contains(e.Message, c.Name+"-") {
					return bound(c.Name, models.BindsMemory)
				}
			}
		}
	}
	return ""
}

// memoryEdge finds the rate at which a component runs out of memory. A sizing ends
// with it, so this is a bisection over loads of their own, each in a new lab,
// between the rates that the sizings survived and at which they ended.
func memoryEdge(binary, file string, trials []trial, recs []*record.Record) (stat.Estimate, error) {
	survived, died := 0.0, math.Inf(1)
	for _, rec := range recs {
		for i, data := range rec.Data {
			switch rps := data.Spec.Rate.RPS(); {
			case i == len(rec.Data)-1:
				died = math.Min(died, rps)
			default:
				survived = math.Max(survived, rps)
			}
		}
	}
	if !(survived > 0) || !(died > survived) {
		return stat.NotEstimable(len(recs), "memory ended at the first rate"), nil
	}
	for range memorySteps {
		middle := math.Sqrt(survived * died)
		dir := fmt.Sprintf("%s-load-%.0f", trials[0].dir, middle)
		alive, err := survives(binary, file, dir, middle)
		if err != nil {
			return stat.Estimate{}, err
		}
		fmt.Fprintf(os.Stderr, "%s at %.0f/s: survived %v\n", file, middle, alive)
		if alive {
			survived = middle
		} else {
			died = middle
		}
	}
	return stat.Estimate{Value: math.Sqrt(survived * died), Low: survived, High: died, Confidence: stat.Confidence, N: memorySteps}, nil
}

// survives sends a load to a new lab and reports whether all components lived.
func survives(binary, file, dir string, rps float64) (bool, error) {
	rec, err := record.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		command := exec.Command(binary, "run", file, "--rate", fmt.Sprintf("%.0f/s", rps), "--duration", "8s", "--warm-up", "2s", "--quiet", "--out", dir)
		output, _ := command.CombinedOutput() // the record says how it ended
		if rec, err = record.Open(dir); err != nil {
			return false, fmt.Errorf("%w\n%s", err, output)
		}
	}
	if err != nil {
		return false, err
	}
	return outOfMemory([]*record.Record{rec}) == "", nil
}
