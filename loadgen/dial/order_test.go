package dial

import (
	"net/netip"
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name, addresses string
		n               int
		want            string
	}{
		{"one", "10.0.0.1", 5, "10.0.0.1"},
		{"first connection", "10.0.0.1 10.0.0.2 10.0.0.3", 0, "10.0.0.1 10.0.0.2 10.0.0.3"},
		{"second connection", "10.0.0.1 10.0.0.2 10.0.0.3", 1, "10.0.0.2 10.0.0.3 10.0.0.1"},
		{"an answer that was rotated", "10.0.0.3 10.0.0.1 10.0.0.2", 1, "10.0.0.2 10.0.0.3 10.0.0.1"},
		{"twice the same", "10.0.0.1 ::ffff:10.0.0.1", 1, "10.0.0.1"},
		{"IPv6 first", "::1 10.0.0.1 10.0.0.2", 0, "::1 10.0.0.1 10.0.0.2"},
		{"IPv4 first", "10.0.0.1 ::1 ::2", 0, "10.0.0.1 ::1 ::2"},
		{"families alternate", "::1 ::2 10.0.0.1 10.0.0.2", 1, "::2 10.0.0.2 ::1 10.0.0.1"},
	} {
		var addresses []netip.Addr
		for text := range strings.FieldsSeq(tt.addresses) {
			addresses = append(addresses, netip.MustParseAddr(text))
		}
		var got []string
		for _, a := range order(addresses, tt.n) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
}

func TestPortAdvice(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"as Linux has it", "32768\t60999\n", "32768 to 60999, which allows 28232 connections"},
		{"one", "40000 40000", "40000 to 40000, which allows 1 connections"},
		{"nothing", "", "no local port is free"},
		{"turned round", "60999 32768", "no local port is free"},
		{"too far", "1 70000", "no local port is free"},
		{"words", "a b", "no local port is free"},
	} {
		if got := portAdvice(tt.text); !strings.Contains(got, tt.want) || strings.Contains(got, "range") != strings.Contains(tt.want, "allows") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzPortRange(f *testing.F) {
	f.Add("32768\t60999\n")
	f.Fuzz(func(t *testing.T, text string) {
		if low, high, ok := portRange(text); ok && (low < 1 || high < low || high > 65535) {
			t.Errorf("%q: %d to %d", text, low, high)
		}
	})
}
