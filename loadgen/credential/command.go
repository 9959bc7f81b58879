package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// longestOutput bounds what a command may print, in bytes.
	longestOutput = 1 << 20
	// execInfo is what kubectl tells its credential plugins, some of which insist
	// on it.
	execInfo = `KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}`
	// hangOver is how long a command's output is awaited when the command itself
	// has ended and what it has started holds the output open.
	hangOver = time.Second
)

// command is a program that prints a token.
type command struct {
	argv        []string
	environment []string
	dir         string
}

var _ origin = (*command)(nil)

// changed says that nobody can tell.
func (*command) changed() (changed, watched bool) { return false, false }

func (c *command) fetch(ctx context.Context) (Token, error) {
	output, err := c.run(ctx)
	if err == nil {
		var token Token
		if token, err = parseOutput(output); err == nil {
			return token, nil
		}
	}
	// Only its name: arguments may hold secrets.
	return Token{}, fmt.Errorf("exec %s: %w", filepath.Base(c.argv[0]), err)
}

// run runs the command and returns what it printed.
func (c *command) run(ctx context.Context) (string, error) {
	var output, complaints tail
	output.limit, complaints.limit = longestOutput, 64<<10
	child := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	child.Dir = c.dir
	child.Env = slices.Clone(c.environment)
	if !slices.ContainsFunc(child.Env, func(v string) bool { return strings.HasPrefix(v, "KUBERNETES_EXEC_INFO=") }) {
		child.Env = append(child.Env, execInfo)
	}
	child.Stdout, child.Stderr = &output, &complaints
	child.WaitDelay = hangOver
	ownGroup(child)
	err := child.Run()
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil { // the command itself went well
		err = nil
	}
	if err != nil {
		if text := c.scrub(complaints.String(), output.String()); text != "" {
			return "", fmt.Errorf("%w: %s", err, text)
		}
		return "", err
	}
	if output.lost {
		return "", fmt.Errorf("it printed more than %d bytes", longestOutput)
	}
	return output.String(), nil
}

// scrub makes what a command complained of fit for an error.
func (c *command) scrub(complaints, output string) string {
	secrets := strings.FieldsFunc(output, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"',:{}[]", r) })
	for _, v := range c.environment {
		if name, value, _ := strings.Cut(v, "="); secretName.MatchString(name) {
			secrets = append(secrets, value)
		}
	}
	return scrub(complaints, secrets...)
}

// execCredential is what kubectl's credential plugins print, as far as it is
// about tokens (client.authentication.k8s.io/v1 and v1beta1).
type execCredential struct {
	Kind   string `json:"kind"`
	Status struct {
		Token               string `json:"token"`
		ExpirationTimestamp string `json:"expirationTimestamp"` // RFC 3339
	} `json:"status"`
}

// parseOutput reads a bare token or an ExecCredential. No error has any of it.
func parseOutput(output string) (Token, error) {
	output = strings.TrimSpace(output)
	if !strings.HasPrefix(output, "{") {
		return newToken(output, time.Time{})
	}
	var c execCredential
	if err := json.Unmarshal([]byte(output), &c); err != nil {
		return Token{}, fmt.Errorf("it printed neither a token nor an ExecCredential: %w", unreadable(err))
	}
	if c.Kind != "ExecCredential" {
		return Token{}, errors.New("it printed JSON whose kind is not ExecCredential")
	}
	if c.Status.Token == "" {
		return Token{}, errors.New("the ExecCredential that it printed has no status.token; client certificates belong into tls.certFile")
	}
	var expires time.Time
	if c.Status.ExpirationTimestamp != "" {
		var err error
		if expires, err = time.Parse(time.RFC3339, c.Status.ExpirationTimestamp); err != nil {
			return Token{}, errors.New("status.expirationTimestamp of the ExecCredential that it printed is no time of RFC 3339")
		}
	}
	return newToken(c.Status.Token, expires)
}

// unreadable says where JSON is wrong, without what is there.
func unreadable(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("%s is not of the right type", kind.Field)
	}
	return errors.New("the JSON can't be read")
}

// tail keeps the last bytes that were written to it, limit of them at least.
type tail struct {
	limit int
	bytes []byte
	lost  bool
}

// Write never fails, so that a command can print as much as it wants to.
func (t *tail) Write(p []byte) (int, error) {
	t.bytes = append(t.bytes, p...)
	if len(t.bytes) > 2*t.limit {
		t.bytes = t.bytes[:copy(t.bytes, t.bytes[len(t.bytes)-t.limit:])]
	}
	t.lost = t.lost || len(t.bytes) > t.limit
	return len(p), nil
}

func (t *tail) String() string { return string(t.bytes) }
