package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestParseSettings(t *testing.T) {
	for _, c := range []struct {
		text string
		want []gatewaySetting
		err  string
	}{
		{"1,2", []gatewaySetting{{1, 0}, {2, 0}}, ""},
		{"1, 1@1 ,2@500m", []gatewaySetting{{1, 0}, {1, 1000}, {2, 500}}, ""},
		{"1", nil, "two settings at the least"},
		{"", nil, "is no number of worker threads"},
		{"1,1", nil, "1 is there twice"},
		{"1,0", nil, `"0" is no number of worker threads`},
		{"1,2@", nil, `"2@" is no number`},
		{"1,2@0", nil, `"2@0" is no number`},
		{"1,2@half", nil, "is no number"},
		{"1,two", nil, "is no number"},
		{"1,2,3,4,5,6,7,8,9", nil, "at most 8"},
	} {
		got, err := parseSettings(c.text)
		switch {
		case c.err == "" && (err != nil || !slices.Equal(got, c.want)):
			t.Errorf("%q: %v, %v, want %v", c.text, got, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: error %v, want one with %q", c.text, err, c.err)
		}
	}
}

// TestSweepRefusals: what no lab can be swept with is wrong use, before anything starts.
func TestSweepRefusals(t *testing.T) {
	target := strings.Replace(scenarioText, "lab: {proxy: auto}", "target: {url: http://127.0.0.1:1}", 1)
	for _, c := range []struct {
		name, stdin string
		args        []string
		says        string
	}{
		{"a target", target, []string{"size", "-", "--sweep-concurrency", "1,2"}, "starts labs, and this drives a target"},
		{"one setting", scenarioText, []string{"size", "-", "--sweep-concurrency", "1"}, "two settings at the least"},
		{"without a load", scenarioText, []string{"size", "-", "--sweep-concurrency", "1,2", "--from-prometheus"}, "--from-prometheus sends nothing"},
		{"calibrated", scenarioText, []string{"size", "-", "--sweep-concurrency", "1,2", "--calibrate", "x"}, "calibrate the sizing that is chosen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProcess(t, c.stdin)
			if code := Main(c.args, p.Process); code != exitUsage || !strings.Contains(p.stderr.String(), c.says) {
				t.Errorf("exit code %d, %q; want %d and %q", code, p.stderr.String(), exitUsage, c.says)
			}
		})
	}
}
