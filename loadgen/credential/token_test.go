package credential

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

const secretText = "s3cr3t-t0ken"

func token(t testing.TB, text string, expires time.Time) Token {
	t.Helper()
	made, err := newToken(text, expires)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestTokenIsNotShown prints and encodes a token in every way, alone and inside
// of other values, where fmt can't call its methods.
func TestTokenIsNotShown(t *testing.T) {
	it := token(t, secretText, time.Time{})
	type exported struct{ Token Token }
	type unexported struct {
		token  Token
		tokens []Token
		nested map[string]Token
	}
	values := map[string]any{
		"token": it, "pointer": &it, "slice": []Token{it}, "exported": exported{it},
		"unexported": unexported{it, []Token{it}, map[string]Token{"a": it}},
		"source":     &Source{origin: &file{name: "f"}},
		"event":      Event{Kind: Renewed},
	}
	for name, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			if got := fmt.Sprintf(verb, value); strings.Contains(got, secretText) || strings.Contains(got, fmt.Sprintf("%x", secretText)) {
				t.Errorf("%s with %s: %s", name, verb, got)
			}
		}
		if encoded, err := json.Marshal(value); err == nil && bytes.Contains(encoded, []byte(secretText)) {
			t.Errorf("%s as JSON: %s", name, encoded)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "value", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "value", value)
		if strings.Contains(log.String(), secretText) {
			t.Errorf("%s in a log: %s", name, log.String())
		}
	}
	if got := it.Reveal(); got != secretText {
		t.Errorf("Reveal %q, want %q", got, secretText)
	}
}

func TestNewToken(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"as it is", "abc.def", "abc.def"},
		{"newline at the end", "abc\n", "abc"},
		{"a scheme of its own", "ApiKey abc", "ApiKey abc"},
		{"empty", " \n", ""},
		{"header injection", "abc\r\nx-evil: 1", ""},
		{"not ASCII", "abcé", ""},
		{"too long", strings.Repeat("a", longestToken+1), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newToken(tt.text, time.Time{})
			if (err != nil) != (tt.want == "") || got.Reveal() != tt.want {
				t.Errorf("%q, %v; want %q", got.Reveal(), err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "abc") {
				t.Errorf("the error has the token: %v", err)
			}
		})
	}
}

func TestField(t *testing.T) {
	it := token(t, "abc", time.Time{})
	for _, tt := range []struct {
		auth        scenarios.Auth
		name, value string
	}{
		{scenarios.Auth{}, "authorization", "Bearer abc"},
		{scenarios.Auth{Header: "X-API-Key", Scheme: "none"}, "x-api-key", "abc"},
		{scenarios.Auth{Scheme: "DPoP"}, "authorization", "DPoP abc"},
	} {
		if name, value := Field(tt.auth, it); name != tt.name || value != tt.value {
			t.Errorf("%+v: %s: %s, want %s: %s", tt.auth, name, value, tt.name, tt.value)
		}
	}
}

func jwt(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + ".c2ln"
}

func TestJWTExpiry(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want time.Time
	}{
		// The token of RFC 7519, section 3.1, whose claim is 1300819380.
		"of the RFC": {"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
			time.Date(2011, 3, 22, 18, 43, 0, 0, time.UTC)},
		"with a fraction": {jwt(`{"exp":1300819380.5}`), time.Date(2011, 3, 22, 18, 43, 0, 500_000_000, time.UTC)},
		"without exp":     {jwt(`{"iat":1}`), time.Time{}},
		"exp as text":     {jwt(`{"exp":"1300819380"}`), time.Time{}},
		"beyond time":     {jwt(`{"exp":1e300}`), time.Time{}},
		"negative":        {jwt(`{"exp":-1}`), time.Time{}},
		"opaque":          {"abcdef", time.Time{}},
		"two parts":       {"abc.def", time.Time{}},
		"no base64":       {"a.!.b", time.Time{}},
	} {
		if got := jwtExpiry(tt.text); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func FuzzJWTExpiry(f *testing.F) {
	f.Add("a.b.c")
	f.Add(jwt(`{"exp":1300819380}`))
	f.Fuzz(func(t *testing.T, text string) {
		if at := jwtExpiry(text); !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
			t.Errorf("expires in the year %d", at.Year())
		}
	})
}

// FuzzParseOutput: what a command prints never comes back in an error.
func FuzzParseOutput(f *testing.F) {
	for _, seed := range []string{
		"abc", "{}", `{"kind":"ExecCredential","status":{"token":"abc","expirationTimestamp":"2026-01-02T03:04:05Z"}}`,
		`{"kind":"ExecCredential","status":{"token":12345}}`, `{"kind":"ExecCredential","status":`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, middle string) {
		for _, output := range []string{middle, "qzx7" + middle + "qzx7", "{" + middle + "qzx7"} {
			got, err := parseOutput(output)
			if err != nil && strings.Contains(err.Error(), "qzx7") {
				t.Errorf("the error has what was printed: %v", err)
			}
			if err == nil && got.Reveal() == "" {
				t.Error("an empty token")
			}
		}
	})
}

func FuzzScrub(f *testing.F) {
	f.Add("error: Bearer %s was refused")
	f.Add("token=%s")
	f.Fuzz(func(t *testing.T, text string) {
		got := scrub(text+secretText+text, secretText)
		if !strings.Contains(text, secretText) && strings.Contains(got, secretText) {
			t.Errorf("the secret is still there: %q", got)
		}
		if len(got) > longestMessage+len("…") {
			t.Errorf("%d bytes", len(got))
		}
		if strings.ContainsAny(got, "\n\r") {
			t.Errorf("more than one line: %q", got)
		}
	})
}

func TestScrub(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"plain", "no such profile: prod", "no such profile: prod"},
		{"lines", "one\n two\r\n", "one two"},
		{"JWT", "got " + jwt(`{"exp":1}`) + " for it", "got [credential] for it"},
		{"header", "curl -H 'Authorization: Basic abc' failed\nbad", "curl -H 'Authorization: [credential] bad"},
		{"bearer", "bearer abc123 refused", "bearer [credential] refused"},
		{"setting", "+ CLIENT_SECRET=hunter2 login", "+ CLIENT_SECRET=[credential] login"},
		{"in a query", "GET /x?access_token=abc&y=1", "GET /x?access_token=[credential]&y=1"},
		{"in JSON", `{"password": "correct horse"}`, `{"password": [credential]}`},
		{"in a URL", "https://user:pass@host/x", "https://[credential]@host/x"},
		{"a long word", "ghp_0123456789abcdefghijklmnopqrstuvwxyz?", "[credential]?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := scrub(tt.text); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
