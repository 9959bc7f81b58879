//go:build linux

package credential

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "here"), "from-the-folder")
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	credential := fmt.Sprintf(`{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"kube","expirationTimestamp":%q}}`,
		soon.Format(time.RFC3339))
	later := jwt(`{"exp":4102444800}`) // 2100-01-01
	tests := []struct {
		name, script string
		want         string // token; empty: an error
		expires      time.Time
		says         string
	}{
		{"bare", "echo abc", "abc", time.Time{}, ""},
		{"JWT", "echo " + later, later, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{"ExecCredential", "echo '" + credential + "'", "kube", soon, ""},
		{"what it says beats the JWT", `echo '{"kind":"ExecCredential","status":{"token":"` + later + `","expirationTimestamp":"` + soon.Format(time.RFC3339) + `"}}'`, later, soon, ""},
		{"environment", `echo "$GIVEN-$HOME-"`, "given--", time.Time{}, ""},
		{"kubectl's environment", `case "$KUBERNETES_EXEC_INFO" in *ExecCredential*) echo yes;; esac`, "yes", time.Time{}, ""},
		{"folder", "cat here", "from-the-folder", time.Time{}, ""},
		{"noise on stderr", "echo warning >&2; echo abc", "abc", time.Time{}, ""},
		{"a child that stays", "sleep 5 & echo abc", "abc", time.Time{}, ""},
		{"nothing", "true", "", time.Time{}, "the token is empty"},
		{"two lines", "echo abc; echo def", "", time.Time{}, "can't stand in a header"},
		{"fails", "echo 'no such profile' >&2; exit 3", "", time.Time{}, "exec sh: exit status 3: no such profile"},
		{"fails and tells all", "echo " + secretText + "; echo got " + secretText + " >&2; exit 1", "", time.Time{}, "got [credential]"},
		{"fails and tells its environment", "echo using $MY_PASSWORD >&2; exit 1", "", time.Time{}, "using [credential]"},
		{"traces", "set -x; TOKEN=hunter22; false", "", time.Time{}, "TOKEN=[credential]"},
		{"other kind", `echo '{"kind":"Secret","status":{"token":"` + secretText + `"}}'`, "", time.Time{}, "kind is not ExecCredential"},
		{"no token", `echo '{"kind":"ExecCredential","status":{}}'`, "", time.Time{}, "no status.token"},
		{"a number", `echo '{"kind":"ExecCredential","status":{"token":123456789}}'`, "", time.Time{}, "status.token is not of the right type"},
		{"no JSON", `echo '{"token": ` + secretText + `'`, "", time.Time{}, "no JSON at byte"},
		{"no time", `echo '{"kind":"ExecCredential","status":{"token":"` + secretText + `","expirationTimestamp":"soon"}}'`, "", time.Time{}, "no time of RFC 3339"},
		{"expired", `echo '{"kind":"ExecCredential","status":{"token":"abc","expirationTimestamp":"2020-01-02T03:04:05Z"}}'`, "", time.Time{}, "expired at 2020-01-02T03:04:05Z"},
		{"too much", "head -c 3000000 /dev/zero | tr '\\0' a", "", time.Time{}, "more than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, got, err := Open(t.Context(), scenarios.Auth{Exec: []string{"sh", "-c", tt.script}},
				Options{Dir: dir, Environment: []string{"GIVEN=given", "MY_PASSWORD=correct-horse", "PATH=" + os.Getenv("PATH")}})
			if err == nil {
				defer s.Close()
			}
			if got.Reveal() != tt.want || !got.expires.Equal(tt.expires) {
				t.Errorf("%q until %s, want %q until %s", got.Reveal(), got.expires, tt.want, tt.expires)
			}
			if (err == nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one with %q", err, tt.says)
			}
			for _, secret := range []string{secretText, "correct-horse", "hunter22", "123456789"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error has a secret: %v", err)
				}
			}
		})
	}
}

func TestCommandCannotStart(t *testing.T) {
	_, _, err := Open(t.Context(), scenarios.Auth{Exec: []string{"/no/such/program", "--secret=" + secretText}}, Options{})
	if err == nil || !strings.Contains(err.Error(), "exec program: ") || strings.Contains(err.Error(), secretText) {
		t.Errorf("error %v", err)
	}
}

// TestCommandThatHangs: it ends with its timeout, and so does what it has started.
func TestCommandThatHangs(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pid")
	script := "sleep 3600 & echo $! > " + name + "; echo waiting >&2; wait"
	_, _, err := Open(t.Context(), scenarios.Auth{Exec: []string{"sh", "-c", script}},
		Options{Environment: os.Environ(), Timeout: 500 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "no answer within 500ms") || !strings.Contains(err.Error(), "waiting") {
		t.Errorf("error %v", err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	// The kernel may take a moment, and nobody may wait for an orphan.
	for deadline := time.Now().Add(10 * time.Second); ; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("the command's child lives: %s", stat)
			_ = syscall.Kill(pid, syscall.SIGKILL)
			break
		}
	}
}

// tokenServer answers as a token server does.
type tokenServer struct {
	*httptest.Server
	answer func(w http.ResponseWriter, r *http.Request)

	mu    sync.Mutex // guards what follows
	forms []map[string][]string
	basic []string
}

// seen returns how often the server was asked, and how at first.
func (s *tokenServer) seen() (times int, form map[string][]string, basic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.forms) == 0 {
		return 0, nil, ""
	}
	return len(s.forms), s.forms[0], s.basic[0]
}

func newTokenServer(t testing.TB) *tokenServer {
	s := &tokenServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		id, secret, _ := r.BasicAuth()
		s.mu.Lock()
		s.forms, s.basic = append(s.forms, r.PostForm), append(s.basic, id+":"+secret)
		s.mu.Unlock()
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func grant(w http.ResponseWriter, fields map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(fields)
}

func TestServer(t *testing.T) {
	secretFile := filepath.Join(t.TempDir(), "secret")
	write(t, secretFile, secretText+"\n")
	elsewhere := newTokenServer(t)
	elsewhere.answer = func(w http.ResponseWriter, _ *http.Request) { grant(w, map[string]any{"access_token": "stolen"}) }
	tests := []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
		want   string
		life   time.Duration // about; 0: unknown
		says   string
	}{
		{"granted", func(w http.ResponseWriter, _ *http.Request) {
			grant(w, map[string]any{"access_token": "abc", "token_type": "Bearer", "expires_in": 3600})
		}, "abc", time.Hour, ""},
		{"expires_in as text", func(w http.ResponseWriter, _ *http.Request) {
			grant(w, map[string]any{"access_token": "abc", "expires_in": "3600"})
		}, "abc", time.Hour, ""},
		{"no life", func(w http.ResponseWriter, _ *http.Request) { grant(w, map[string]any{"access_token": "abc"}) }, "abc", 0, ""},
		{"secret wanted in the form", func(w http.ResponseWriter, r *http.Request) {
			if r.PostFormValue("client_secret") != secretText {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			grant(w, map[string]any{"access_token": "abc"})
		}, "abc", 0, ""},
		{"refused", func(w http.ResponseWriter, r *http.Request) {
			_, secret, _ := r.BasicAuth()
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			grant(w, map[string]any{"error": "invalid_client", "error_description": "wrong secret " + secret + r.PostFormValue("client_secret")})
		}, "", 0, "401 Unauthorized: invalid_client: wrong secret [credential]"},
		{"a page", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "<h1>"+secretText+"</h1>", http.StatusBadGateway)
		}, "", 0, "502 Bad Gateway"},
		{"not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "", 0, "307 Temporary Redirect, which is not followed"},
		{"no token", func(w http.ResponseWriter, _ *http.Request) { grant(w, map[string]any{}) }, "", 0, "missing access_token"},
		{"a token that is none", func(w http.ResponseWriter, _ *http.Request) {
			grant(w, map[string]any{"access_token": "abc\ndef"})
		}, "", 0, "can't stand in a header"},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", 0, "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := newTokenServer(t)
			server.answer = tt.answer
			auth := scenarios.Auth{OAuth2: &scenarios.OAuth2{
				TokenURL: server.URL + "/token?key=" + secretText, ClientID: "sail", ClientSecretFile: secretFile, Scopes: []string{"read", "write"}, Audience: "shop",
			}}
			s, got, err := Open(t.Context(), auth, Options{})
			if err == nil {
				defer s.Close()
			}
			if got.Reveal() != tt.want {
				t.Errorf("%q, %v; want %q", got.Reveal(), err, tt.want)
			}
			if at, ok := got.Expires(); ok != (tt.life > 0) || ok && (time.Until(at) > tt.life || time.Until(at) < tt.life-time.Minute) {
				t.Errorf("expires at %s, want in %s", at, tt.life)
			}
			if tt.want == "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error %v, want one with %q", err, tt.says)
			}
			if err != nil && strings.Contains(err.Error(), secretText) {
				t.Errorf("the error has the secret: %v", err)
			}
			_, form, basic := server.seen()
			if fmt.Sprint(form["grant_type"], form["scope"], form["audience"]) != "[client_credentials] [read write] [shop]" || basic != "sail:"+secretText {
				t.Errorf("asked with %v by %s", form, basic)
			}
		})
	}
	if times, _, _ := elsewhere.seen(); times > 0 {
		t.Error("a redirect was followed")
	}
}

// TestServerRenews: the secret is read again for each token, and the way in which
// the server wants it is remembered.
func TestServerRenews(t *testing.T) {
	secretFile := filepath.Join(t.TempDir(), "secret")
	write(t, secretFile, "one")
	server := newTokenServer(t)
	server.answer = func(w http.ResponseWriter, r *http.Request) {
		secret := r.PostFormValue("client_secret")
		if secret == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		times, _, _ := server.seen()
		grant(w, map[string]any{"access_token": fmt.Sprintf("by-%s-%d", secret, times), "expires_in": 1})
	}
	auth := scenarios.Auth{OAuth2: &scenarios.OAuth2{TokenURL: server.URL, ClientID: "sail", ClientSecretFile: secretFile}}
	s, got, err := Open(t.Context(), auth, Options{})
	if err != nil || got.Reveal() != "by-one-2" {
		t.Fatalf("%q, %v", got.Reveal(), err)
	}
	write(t, secretFile, "two")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case got = <-s.Updates():
	case <-ctx.Done():
	}
	if got.Reveal() != "by-two-3" {
		t.Errorf("%q, want by-two-3", got.Reveal())
	}
	_ = s.Close()
}
