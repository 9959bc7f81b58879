package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// fake is an origin whose tokens live for a while, and which fails when told to.
type fake struct {
	life  time.Duration
	fail  func(n int) bool // of the n-th fetch
	asked []time.Time
}

func (f *fake) fetch(context.Context) (Token, error) {
	f.asked = append(f.asked, time.Now())
	if f.fail != nil && f.fail(len(f.asked)) {
		return Token{}, errors.New("the server is away")
	}
	expires := time.Time{}
	if f.life > 0 {
		expires = time.Now().Add(f.life)
	}
	return newToken(fmt.Sprintf("token-%d", len(f.asked)), expires)
}

func (*fake) changed() (changed, watched bool) { return false, false }

// TestRenewal: each token is renewed when 75 to 85 % of its life are over, and
// not always at the same share.
func TestRenewal(t *testing.T) {
	for _, tt := range []struct {
		name       string
		life, want time.Duration
	}{
		{"an hour", time.Hour, time.Hour},
		{"ten seconds", 10 * time.Second, 10 * time.Second},
		{"unknown", 0, 15 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := &fake{life: tt.life}
				s, first, err := start(t.Context(), from, Options{Seed: 1})
				if err != nil || first.Reveal() != "token-1" {
					t.Fatalf("%q, %v", first.Reveal(), err)
				}
				var shares []float64
				last := time.Now()
				for n := 2; n < 12; n++ {
					got := <-s.Updates()
					if want := fmt.Sprintf("token-%d", n); got.Reveal() != want {
						t.Fatalf("%q, want %q", got.Reveal(), want)
					}
					share := float64(time.Since(last)) / float64(tt.want)
					last = time.Now()
					if share < 0.749 || share > 0.851 {
						t.Errorf("renewed after %.3f of the life, want 0.75 to 0.85", share)
					}
					shares = append(shares, share)
				}
				if slices.Max(shares)-slices.Min(shares) < 0.02 {
					t.Errorf("no jitter: %v", shares)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if _, open := <-s.Updates(); open {
					t.Error("Updates is open after Close")
				}
			})
		})
	}
}

// TestFailures: a failed renewal is repeated ever more slowly, the end of the old
// token is told once, and the next success ends it all.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := &fake{life: time.Minute, fail: func(n int) bool { return 1 < n && n < 9 }}
		var events []Event
		s, first, err := start(t.Context(), from, Options{Event: func(e Event) { events = append(events, e) }})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		second := <-s.Updates()
		synctest.Wait()
		if got := second.Reveal(); got != "token-9" {
			t.Errorf("%q, want token-9", got)
		}
		for n, want := range []time.Duration{0, 1, 2, 4, 8, 16, 30, 30} { // seconds before the attempt n+2, ± a quarter
			if n == 0 {
				continue
			}
			gap := from.asked[n+1].Sub(from.asked[n])
			if gap < want*time.Second*74/100 || gap > want*time.Second*126/100 {
				t.Errorf("attempt %d came after %s, want %d s ± a quarter", n+2, gap, want)
			}
		}
		var kinds []EventKind
		for _, e := range events {
			kinds = append(kinds, e.Kind)
			switch e.Kind {
			case Failed:
				if e.Err == nil || !strings.Contains(e.String(), "the server is away") {
					t.Errorf("event %s", e)
				}
			case Expired:
				if at, _ := first.Expires(); !e.Expires.Equal(at) || at.Sub(begin) != time.Minute {
					t.Errorf("event %s, the token expires at %s", e, at)
				}
			}
		}
		// 0.8 min + 1 + 2 + 4 s is before the minute is over, 8 s later after it.
		want := []EventKind{Failed, Failed, Failed, Failed, Expired, Failed, Failed, Failed, Renewed}
		if !slices.Equal(kinds, want) {
			t.Errorf("events %q, want %q", kinds, want)
		}
		_ = s.Close()
	})
}

// TestNewestWins: who comes late gets the newest token alone.
func TestNewestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		third := make(chan struct{})
		from := &fake{life: time.Minute}
		from.fail = func(n int) bool {
			if n == 4 {
				close(third)
			}
			return n == 4
		}
		s, _, err := start(t.Context(), from, Options{})
		if err != nil {
			t.Fatal(err)
		}
		<-third // two renewals are over, and nobody has taken either
		if got := (<-s.Updates()).Reveal(); got != "token-3" {
			t.Errorf("%q, want token-3", got)
		}
		_ = s.Close()
	})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	old := filepath.Join(dir, "old")
	write(t, old, jwt(`{"exp":1300819380}`))
	for name, tt := range map[string]struct {
		auth scenarios.Auth
		want string
	}{
		"nothing":  {scenarios.Auth{}, "exactly one of"},
		"two":      {scenarios.Auth{TokenFile: "a", Exec: []string{"b"}}, "exactly one of"},
		"no file":  {scenarios.Auth{TokenFile: missing}, missing},
		"a folder": {scenarios.Auth{TokenFile: dir}, "not a regular file"},
		"too old":  {scenarios.Auth{TokenFile: old}, "has expired at 2011-03-22T18:43:00Z"},
	} {
		s, _, err := Open(t.Context(), tt.auth, Options{})
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "auth: ") {
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
}

// TestInterrupted: Open ends with its context, and Close ends an attempt that is
// under way.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Open(ctx, scenarios.Auth{Exec: []string{"sleep", "60"}}, Options{Environment: os.Environ()}); err == nil {
		t.Error("Open does not end with its context")
	}
	synctest.Test(t, func(t *testing.T) {
		s, _, err := start(t.Context(), &hanging{}, Options{Timeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		timer := time.NewTimer(14 * time.Minute) // the second attempt hangs by then
		<-timer.C
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if len(s.Updates()) != 0 {
			t.Error("an update of an attempt that was ended")
		}
	})
}

// hanging answers once.
type hanging struct{ asked bool }

func (h *hanging) fetch(ctx context.Context) (Token, error) {
	if h.asked {
		<-ctx.Done()
		return Token{}, ctx.Err()
	}
	h.asked = true
	return newToken("abc", time.Time{})
}

func (*hanging) changed() (changed, watched bool) { return false, false }

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFile: a token file is read again when it was written, or replaced by way of
// a link as Kubernetes does it; a broken one leaves the old token in use.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "token")
	point := func(to, text string) {
		write(t, filepath.Join(dir, to), text)
		if err := os.Symlink(to, name+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	point("a", "first\n")
	synctest.Test(t, func(t *testing.T) {
		events := make(chan Event, 10)
		s, got, err := Open(t.Context(), scenarios.Auth{TokenFile: name}, Options{Event: func(e Event) { events <- e }})
		if err != nil || got.Reveal() != "first" {
			t.Fatalf("%q, %v", got.Reveal(), err)
		}
		next := func(want string) {
			t.Helper()
			begin := time.Now()
			if got := (<-s.Updates()).Reveal(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if e := <-events; e.Kind != Renewed {
				t.Errorf("event %s", e)
			}
			if took := time.Since(begin); took > 2*lookEvery {
				t.Errorf("noticed after %s", took)
			}
		}
		point("b", "second")
		next("second")
		point("c", "third!") // as long as the one before
		next("third!")
		write(t, name, "fourth one")
		next("fourth one")

		point("d", "")
		if e := <-events; e.Kind != Failed || !strings.Contains(e.String(), "is empty") {
			t.Errorf("event %s", e)
		}
		if len(s.Updates()) != 0 {
			t.Error("an update with a broken file")
		}
		point("e", "fifth")
		next("fifth")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if e := <-events; e.Kind != Failed {
			t.Errorf("event %s", e)
		}
		point("f", "sixth")
		next("sixth")
		_ = s.Close()
	})
}
