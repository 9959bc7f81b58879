package reports

import "testing"

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"a  b\n\tc":           "a b c",
		"a\u00a0b":            "a\u00a0b",
		"red \x1b[31m":        "red \ufffd[31m",
		"turned \u202eround":  "turned \ufffdround",
		"broken \xff encoded": "broken \ufffd encoded",
		"nul \x00 bell \a":    "nul \ufffd bell \ufffd",
	} {
		if got := OneLine(in); got != want {
			t.Errorf("OneLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestQuantileKey(t *testing.T) {
	for q, want := range map[float64]string{0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p999", 0.9999: "p9999"} {
		if got := quantileKey(q); got != want {
			t.Errorf("quantileKey(%v) = %q, want %q", q, got, want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"runs/a-1.2": "runs/a-1.2", "a b": "'a b'", "it's; rm": `'it'\''s; rm'`, "$(x)": "'$(x)'"} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %q, want %q", in, got, want)
		}
	}
}
