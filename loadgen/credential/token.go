package credential

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// hidden is what is shown instead of a token.
const hidden = "[credential]"

// longestToken bounds a token, in bytes. Servers bound all headers of a request
// to some ten thousand.
const longestToken = 64 << 10

// Token is a credential. However it is printed or encoded, its text is not there.
type Token struct {
	text    *string // a pointer, because fmt prints what unexported fields hold
	expires time.Time
}

// newToken checks the text of a token; no error has any of it.
func newToken(text string, expires time.Time) (Token, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Token{}, errors.New("the token is empty")
	case len(text) > longestToken:
		return Token{}, fmt.Errorf("the token has %d bytes, more than %d", len(text), longestToken)
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return Token{}, fmt.Errorf("the token can't stand in a header: byte %d of %d is none of printable ASCII", i+1, len(text))
		}
	}
	if expires.IsZero() {
		expires = jwtExpiry(text)
	}
	return Token{text: &text, expires: expires}, nil
}

// Reveal returns the text, for the header of a request and for nothing else. It
// is empty for the zero Token.
func (t Token) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// Expires returns when the token ends; ok is false when that is not known.
func (t Token) Expires() (at time.Time, ok bool) { return t.expires, !t.expires.IsZero() }

// Equal reports whether two tokens are the same.
func (t Token) Equal(other Token) bool {
	return t.Reveal() == other.Reveal() && t.expires.Equal(other.expires)
}

// String returns no part of the token, and neither do the methods below.
func (Token) String() string { return hidden }

// GoString is for %#v.
func (Token) GoString() string { return "credential.Token{}" }

// Format is for all other verbs.
func (Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalJSON is for encoding/json.
func (Token) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// MarshalText is for other encodings.
func (Token) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue is for log/slog.
func (Token) LogValue() slog.Value { return slog.StringValue(hidden) }

var (
	_ fmt.Formatter  = Token{}
	_ fmt.GoStringer = Token{}
	_ json.Marshaler = Token{}
	_ slog.LogValuer = Token{}
)

// Field returns the header that carries a token: its name in lower case, and its
// value, which is as secret as the token.
func Field(auth scenarios.Auth, token Token) (name, value string) {
	name = strings.ToLower(auth.Header)
	if name == "" {
		name = "authorization"
	}
	switch auth.Scheme {
	case "none":
		return name, token.Reveal()
	case "":
		return name, "Bearer " + token.Reveal()
	}
	return name, auth.Scheme + " " + token.Reveal()
}

// jwtExpiry returns the claim exp of a JSON Web Token (RFC 7519, section 4.1.4),
// the zero time when the text is none or has no such claim. Nothing is verified:
// it only says when to ask for the next one.
func jwtExpiry(text string) time.Time {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp *float64 `json:"exp"` // seconds since 1970, possibly with a fraction
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp == nil {
		return time.Time{}
	}
	// Until the year 9999: beyond, time.Time can't be written as RFC 3339.
	if *claims.Exp <= 0 || *claims.Exp >= 253402300800 {
		return time.Time{}
	}
	whole, fraction := math.Modf(*claims.Exp)
	return time.Unix(int64(whole), int64(fraction*1e9))
}
