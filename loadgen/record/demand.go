package record

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// demandFile holds what demand was before the run; most runs have none.
const demandFile = "demand.csv"

const demandHeader = "time,rate"

// Demand records what demand was before the run: instants and rates per second, in
// order of time. It may be called once.
func (w *Writer) Demand(rates []scenarios.RateSample) error {
	text := []byte(demandHeader + "\n")
	for _, r := range rates {
		text = r.At.UTC().AppendFormat(text, time.RFC3339Nano)
		text = append(strconv.AppendFloat(append(text, ','), r.RPS, 'g', -1, 64), '\n')
	}
	w.disk.Lock()
	defer w.disk.Unlock()
	if err := w.Err(); err != nil {
		return err
	}
	if err := replace(w.open, filepath.Join(w.dir, demandFile), text); err != nil {
		w.fail(fmt.Errorf("%s: %w", demandFile, err))
	}
	return w.Err()
}

// readDemand reads what Demand wrote; nil where there is none.
func readDemand(dir string) (rates []scenarios.RateSample, err error) {
	_, err = eachLine(filepath.Join(dir, demandFile), func(line []byte) error {
		if len(rates) == 0 && string(line) == demandHeader {
			return nil
		}
		instant, number, found := bytes.Cut(line, []byte(","))
		if !found {
			return fmt.Errorf("%q is not an instant and a rate", line)
		}
		at, err := time.Parse(time.RFC3339Nano, string(instant))
		if err != nil {
			return fmt.Errorf("%q is no instant", instant)
		}
		rps, err := strconv.ParseFloat(string(number), 64)
		if err != nil || !(rps >= 0) || math.IsInf(rps, 0) {
			return fmt.Errorf("%q is no rate", number)
		}
		if n := len(rates); n > 0 && !at.After(rates[n-1].At) {
			return fmt.Errorf("%s does not come after the line before", instant)
		}
		rates = append(rates, scenarios.RateSample{At: at, RPS: rps})
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return rates, err
}
