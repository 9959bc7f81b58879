package record

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios"
)

// withheld stands in run.json where a scenario had a credential.
const withheld = "withheld"

// maxBody is how many bytes of a request's body are recorded as they are. A longer
// one tells nobody more than its size and hash do, and may hold anything.
const maxBody = 256

// withoutSecrets returns the scenario without the values of headers, queries and
// URLs that carry credentials, and with bodies that are long or said to be secret
// as their size and hash: a run directory is made to be passed on.
func withoutSecrets(scenario scenarios.Scenario) scenarios.Scenario {
	scenario.Requests = slices.Clone(scenario.Requests)
	for i, request := range scenario.Requests {
		scenario.Requests[i] = maskRequest(request)
	}
	if scenario.Target != nil {
		target := *scenario.Target
		target.URL = maskURL(target.URL)
		target.Also = slices.Clone(target.Also)
		for i := range target.Also {
			target.Also[i].URL = maskURL(target.Also[i].URL)
		}
		scenario.Target = &target
	}
	if scenario.Auth != nil && scenario.Auth.OAuth2 != nil {
		auth, oauth := *scenario.Auth, *scenario.Auth.OAuth2
		oauth.TokenURL = maskURL(oauth.TokenURL)
		auth.OAuth2 = &oauth
		scenario.Auth = &auth
	}
	scenario.Observe.Prometheus = maskURL(scenario.Observe.Prometheus)
	scenario.Observe.Components = slices.Clone(scenario.Observe.Components)
	for i := range scenario.Observe.Components {
		scenario.Observe.Components[i].Admin = maskURL(scenario.Observe.Components[i].Admin)
	}
	return scenario
}

func maskRequest(request scenarios.Request) scenarios.Request {
	headers := make(map[string]string, len(request.Headers))
	for name, value := range request.Headers {
		marked := slices.ContainsFunc(request.SecretHeaders, func(secret string) bool { return strings.EqualFold(secret, name) })
		if marked || isCredential(name) {
			value = withheld
		}
		headers[name] = value
	}
	if len(headers) > 0 {
		request.Headers = headers
	}
	request.Path = maskQuery(request.Path)
	request.Body = maskBody(request.Body, request.Secret)
	if request.GRPC != nil {
		call := *request.GRPC
		call.Message = maskBody(call.Message, request.Secret)
		request.GRPC = &call
	}
	return request
}

func maskBody(body string, secret bool) string {
	if body == "" || !secret && len(body) <= maxBody {
		return body
	}
	hash := sha256.Sum256([]byte(body))
	return fmt.Sprintf("%s: %d bytes, SHA-256 %s", withheld, len(body), hex.EncodeToString(hash[:]))
}

func isCredential(header string) bool {
	name := strings.ToLower(header)
	for _, part := range []string{"auth", "cookie", "credential", "jwt", "key", "password", "secret", "session", "signature", "token"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// isSecretParameter reports whether the value of a query's parameter is a
// credential by its name: token, access_token, X-Amz-Signature, apiKey, but not
// keyword.
func isSecretParameter(name string) bool {
	if unescaped, err := url.QueryUnescape(name); err == nil {
		name = unescaped
	}
	name = strings.ToLower(name)
	for _, part := range []string{"token", "password", "passwd", "secret", "signature", "credential", "jwt"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	for _, end := range []string{"key", "sig", "auth", "pwd", "session", "sessionid"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// maskQuery masks what follows the question mark of a path or URL, and leaves all
// else as it was written, templates too.
func maskQuery(path string) string {
	before, query, has := strings.Cut(path, "?")
	if !has {
		return path
	}
	query, fragment, hasFragment := strings.Cut(query, "#")
	parameters := strings.Split(query, "&")
	for i, parameter := range parameters {
		if name, _, has := strings.Cut(parameter, "="); has && isSecretParameter(name) {
			parameters[i] = name + "=" + withheld
		}
	}
	masked := before + "?" + strings.Join(parameters, "&")
	if hasFragment {
		masked += "#" + fragment
	}
	return masked
}

// maskURL masks the user and the query of a URL.
func maskURL(address string) string {
	address = maskQuery(address)
	parsed, err := url.Parse(address)
	if err != nil || parsed.User == nil {
		return address
	}
	parsed.User = url.User(withheld)
	return parsed.String()
}
