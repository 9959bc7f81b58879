//go:build linux

package loadgen_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// generatorEnv makes the test binary a generator against the address it holds.
const generatorEnv = "LOADGEN_TEST_GENERATOR"

// frozenReport is what the generator in another process tells.
type frozenReport struct {
	Counts              record.Counts
	LateSends, LateEnds int64 // by more than 100 ms after their intended instants
}

// announce prints a line when the first interval is over.
type announce struct {
	collect
	said bool
}

func (a *announce) Interval(i record.Interval) {
	a.collect.Interval(i)
	if !a.said {
		a.said = true
		fmt.Println("sending")
	}
}

// runGenerator sends 1000/s for three seconds and prints a report.
func runGenerator(address string) {
	sink := &announce{}
	facts, err := loadgen.Run(context.Background(), planFor(address), scenarios.Phase{
		Process: scenarios.Constant, Rate: scenarios.PerSecond(1000), Duration: 3 * time.Second, Interval: 500 * time.Millisecond,
	}, sink, loadgen.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := frozenReport{Counts: facts.Counts}
	for _, bar := range sink.all.SendLag.Distribution() {
		if bar.From > int64(100*time.Millisecond) {
			r.LateSends += bar.Count
		}
	}
	for _, bar := range sink.all.Latency.Distribution() {
		if bar.From > int64(100*time.Millisecond) {
			r.LateEnds += bar.Count
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
}

// TestGeneratorFreeze stops the generator itself for about a second. Its stall
// is as much part of the result as one of the server: 1000·(d − 0.1) requests
// are sent, and answered, more than 100 ms after their intended instants.
func TestGeneratorFreeze(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes catching up after the freeze take too long for the analytic values")
	}
	address := serverProcess(t)
	for attempt := 1; ; attempt++ {
		stood, r := freezeGenerator(t, address)
		want := 1000 * (stood.Seconds() - 0.1)
		near := func(got int64) bool { return math.Abs(float64(got)-want) <= 0.05*want }
		if r.Counts.Answered != 3000 {
			t.Fatalf("counts %+v, want 3000 answered", r.Counts)
		}
		if near(r.LateSends) && near(r.LateEnds) {
			return
		}
		t.Logf("run %d: %d late sends and %d late answers, want %.0f ± 5 %%", attempt, r.LateSends, r.LateEnds, want)
		if attempt == 3 {
			t.Fatal("no run came near the analytic values")
		}
	}
}

func freezeGenerator(t *testing.T, address string) (stood time.Duration, r frozenReport) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), generatorEnv+"="+address)
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = command.Wait() }()
	lines := bufio.NewReader(stdout)
	if line, err := lines.ReadString('\n'); line != "sending\n" {
		t.Fatalf("the generator says %q, %v", line, err)
	}
	if err := command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	thaw := time.NewTimer(time.Second)
	<-thaw.C
	stood = time.Since(begin)
	if err := command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(lines).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return stood, r
}
