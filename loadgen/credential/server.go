package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/sailplan-io/sailplan/scenarios"
)

// server is a token server that is asked with client credentials (RFC 6749,
// section 4.4).
type server struct {
	config     clientcredentials.Config // it remembers how the server wants to be asked
	secretFile string
	client     *http.Client
}

var _ origin = (*server)(nil)

func newServer(o scenarios.OAuth2, transport http.RoundTripper) *server {
	if transport == nil {
		// Between two tokens no connection would live.
		transport = &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true}
	}
	s := &server{
		secretFile: o.ClientSecretFile,
		config:     clientcredentials.Config{ClientID: o.ClientID, TokenURL: o.TokenURL, Scopes: o.Scopes},
		client: &http.Client{
			Transport: transport,
			// The secret is for the server that was named, and for no other.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if o.Audience != "" {
		s.config.EndpointParams = url.Values{"audience": {o.Audience}}
	}
	return s
}

// changed says that nobody can tell.
func (*server) changed() (changed, watched bool) { return false, false }

func (s *server) fetch(ctx context.Context) (Token, error) {
	if s.secretFile != "" { // it may be replaced, too
		secret, err := os.ReadFile(s.secretFile)
		if err != nil {
			return Token{}, fmt.Errorf("oauth2ClientCredentials: clientSecretFile: %w", err)
		}
		s.config.ClientSecret = strings.TrimSpace(string(secret))
		if s.config.ClientSecret == "" {
			return Token{}, fmt.Errorf("oauth2ClientCredentials: clientSecretFile %s is empty", s.secretFile)
		}
	}
	answer, err := s.config.Token(context.WithValue(ctx, oauth2.HTTPClient, s.client))
	if err != nil {
		return Token{}, fmt.Errorf("oauth2ClientCredentials: ask %s for a token: %w", s.host(), s.explain(err))
	}
	token, err := newToken(answer.AccessToken, answer.Expiry)
	if err != nil {
		return Token{}, fmt.Errorf("oauth2ClientCredentials: the answer of %s: %w", s.host(), err)
	}
	return token, nil
}

// host returns whom is asked, without what else a URL may hold.
func (s *server) host() string {
	u, err := url.Parse(s.config.TokenURL)
	if err != nil || u.Host == "" {
		return "the token server"
	}
	return u.Host
}

// explain says what went wrong without the body of the answer, which may hold
// anything, and without the URL.
func (s *server) explain(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		text := refused.Response.Status
		if refused.Response.StatusCode >= 300 && refused.Response.StatusCode < 400 {
			text += ", which is not followed"
		}
		for _, part := range []string{refused.ErrorCode, refused.ErrorDescription} {
			if said := s.scrub(part); said != "" {
				text += ": " + said
			}
		}
		return errors.New(text)
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err // of the connection: it knows nothing of what was sent
	}
	return errors.New(s.scrub(err.Error()))
}

// scrub takes the client secret out, in the forms in which it is sent.
func (s *server) scrub(text string) string {
	return scrub(text, s.config.ClientSecret, url.QueryEscape(s.config.ClientSecret))
}
