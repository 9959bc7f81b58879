package credential

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// Options say how a Source works.
type Options struct {
	// Environment is that of the command of auth.exec, as KEY=value; the command
	// sees nothing else.
	Environment []string
	// Dir is the working directory of the command; empty: that of the process.
	Dir string
	// Seed is of the jitter, which keeps several generators from asking for a
	// token in the same instant.
	Seed uint64
	// Timeout is how long one attempt may take. 0 means 30 s.
	Timeout time.Duration
	// Transport sends requests to a token server; nil: a plain one, without a
	// proxy.
	Transport http.RoundTripper
	// Event is told what happens after Open; it is called by one goroutine and
	// must not block. nil: nobody is.
	Event func(Event)
}

const (
	defaultTimeout = 30 * time.Second
	// lookEvery is how often a token file is looked at.
	lookEvery = time.Second
	// unknownLife is the life of a token that doesn't say when it ends.
	unknownLife = 15 * time.Minute
	// renewAt and renewJitter: a token is renewed at a share of its life that is
	// uniform in renewAt ± renewJitter.
	renewAt, renewJitter = 0.8, 0.05
	// shortestWait keeps a source whose tokens hardly live from spinning.
	shortestWait = 100 * time.Millisecond
	// firstRetry and lastRetry bound the wait after a failure.
	firstRetry, lastRetry = time.Second, 30 * time.Second
)

// EventKind says what happened to a credential.
type EventKind string

// The kinds of event.
const (
	Renewed EventKind = "credential renewed"
	Failed  EventKind = "credential not renewed" // the old one stays in use
	Expired EventKind = "credential expired"     // and there is no new one yet
)

// Event is something that happened to a credential. It holds no part of it.
type Event struct {
	Kind    EventKind
	Err     error     // of Failed
	Expires time.Time // of the token that is in use; zero: not known
}

// String says it in one line.
func (e Event) String() string {
	text := string(e.Kind)
	if !e.Expires.IsZero() {
		words := ", it expires at "
		if e.Kind == Expired {
			words = " at "
		} else if e.Kind == Failed {
			words = ", the one in use expires at "
		}
		text += words + e.Expires.UTC().Format(time.RFC3339)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// origin is where tokens come from.
type origin interface {
	// fetch gets a token. Its error holds no part of one.
	fetch(ctx context.Context) (Token, error)
	// changed reports whether fetch would find something else than the last time;
	// watched is false when only fetch can tell.
	changed() (changed, watched bool)
}

// Source has the newest token.
type Source struct {
	origin  origin
	options Options
	random  *rand.Rand
	updates chan Token
	cancel  context.CancelFunc
	loop    sync.WaitGroup
}

// Open gets the first token, which takes as long as ctx allows, and goes on
// renewing it until Close.
func Open(ctx context.Context, auth scenarios.Auth, options Options) (*Source, Token, error) {
	from, err := open(auth, options)
	if err != nil {
		return nil, Token{}, fmt.Errorf("auth: %w", err)
	}
	return start(ctx, from, options)
}

// open returns what an auth names.
func open(auth scenarios.Auth, options Options) (origin, error) {
	var found []origin
	if auth.TokenFile != "" {
		found = append(found, &file{name: auth.TokenFile})
	}
	if len(auth.Exec) > 0 {
		found = append(found, &command{argv: auth.Exec, environment: options.Environment, dir: options.Dir})
	}
	if auth.OAuth2 != nil {
		found = append(found, newServer(*auth.OAuth2, options.Transport))
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("want exactly one of tokenFile, exec and oauth2ClientCredentials, got %d", len(found))
	}
	return found[0], nil
}

// start gets the first token and starts the loop.
func start(ctx context.Context, from origin, options Options) (*Source, Token, error) {
	if options.Timeout <= 0 {
		options.Timeout = defaultTimeout
	}
	s := &Source{
		origin: from, options: options, updates: make(chan Token, 1),
		random: rand.New(rand.NewPCG(options.Seed, 0x63726564)), // a stream of its own
	}
	token, err := s.fetch(ctx)
	if err != nil {
		return nil, Token{}, fmt.Errorf("auth: %w", err)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.loop.Go(func() {
		defer close(s.updates)
		s.renew(life, token)
	})
	return s, token, nil
}

// Updates returns the channel of new tokens. It holds one at most, the newest
// that was not taken yet. Close closes it.
func (s *Source) Updates() <-chan Token { return s.updates }

// Close stops renewing and waits until that is over, a command or a request that
// is under way included, which are ended. A second call does nothing.
func (s *Source) Close() error {
	s.cancel()
	s.loop.Wait()
	return nil
}

// fetch gets a token that is still valid.
func (s *Source) fetch(ctx context.Context) (Token, error) {
	limit := fmt.Errorf("no answer within %s", s.options.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, limit)
	defer cancel()
	token, err := s.origin.fetch(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause == limit {
			return Token{}, fmt.Errorf("%w: %w", cause, err)
		}
		return Token{}, err
	}
	if at, ok := token.Expires(); ok && !time.Now().Before(at) {
		return Token{}, fmt.Errorf("the token has expired at %s, by the clock of this machine", at.UTC().Format(time.RFC3339))
	}
	return token, nil
}

// renew keeps the token new until ctx ends.
func (s *Source) renew(ctx context.Context, token Token) {
	var (
		due     = time.Now().Add(s.patience(token)) // of the next attempt
		retry   time.Duration
		expired bool
	)
	for {
		wait := time.Until(due)
		if at, ok := token.Expires(); ok && !expired {
			wait = min(wait, time.Until(at))
		}
		_, watched := s.origin.changed()
		if watched {
			wait = min(wait, lookEvery)
		}
		if pause(ctx, wait) != nil {
			return
		}
		if at, ok := token.Expires(); ok && !expired && !time.Now().Before(at) {
			expired = true
			s.tell(Event{Kind: Expired, Expires: at})
		}
		changed, _ := s.origin.changed()
		if !changed && time.Now().Before(due) {
			continue
		}
		fresh, err := s.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			retry = min(max(firstRetry, 2*retry), lastRetry)
			due = time.Now().Add(s.spread(retry, 0.25))
			s.tell(Event{Kind: Failed, Err: err, Expires: token.expires})
			continue
		}
		retry = 0
		if fresh.Equal(token) && watched {
			// The file is still the old one; whoever writes it will change it.
			due = time.Now().Add(unknownLife)
			continue
		}
		due = time.Now().Add(s.patience(fresh))
		if !fresh.Equal(token) {
			token, expired = fresh, false
			s.publish(token)
			s.tell(Event{Kind: Renewed, Expires: token.expires})
		}
	}
}

// patience returns how long a token is used before the next one is asked for.
func (s *Source) patience(token Token) time.Duration {
	life := unknownLife
	if at, ok := token.Expires(); ok {
		life = time.Until(at)
	}
	return max(shortestWait, s.spread(time.Duration(float64(life)*renewAt), renewJitter/renewAt))
}

// spread returns a duration that is uniform in d × (1 ± share).
func (s *Source) spread(d time.Duration, share float64) time.Duration {
	return time.Duration(float64(d) * (1 + share*(2*s.random.Float64()-1)))
}

// publish puts a token in the place of one that nobody has taken.
func (s *Source) publish(token Token) {
	select {
	case <-s.updates:
	default:
	}
	s.updates <- token // there is room: nobody else sends
}

func (s *Source) tell(e Event) {
	if s.options.Event != nil {
		s.options.Event(e)
	}
}

// pause waits for a time or the end of ctx.
func pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
