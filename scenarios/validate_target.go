package scenarios

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

func (v *validator) target(t Target) {
	u, err := url.Parse(t.URL)
	if t.URL == "" || err != nil || v.hasProblemAt("target.url") {
		if t.URL != "" && !v.hasProblemAt("target.url") {
			v.fail("target.url", "", "not a URL")
		}
		return
	}
	if u.User != nil {
		v.fail("target.url", "put credentials into a request's headers", "a user in the URL is not allowed")
	}
	if strings.Contains(t.URL, "?") || strings.Contains(t.URL, "#") {
		v.fail("target.url", "put a query into a request's path", "a query or fragment is not allowed")
	}
	if u.Hostname() == "" {
		v.fail("target.url", "", "the host is missing")
	}
	v.port("target.url", u.Port())
	if t.ConnectTo != "" {
		if _, port, err := net.SplitHostPort(t.ConnectTo); err == nil {
			v.port("target.connectTo", port)
		}
	}
	v.protocol(t, u.Scheme)
	v.tls(t.TLS, u.Scheme)
	if endpoint, err := t.endpoint(""); err == nil && !endpoint.OnLoopback() {
		v.offLoopback(endpoint.Address)
	}
}

func (v *validator) hasProblemAt(path string) bool {
	return slices.ContainsFunc(v.problems, func(p Problem) bool { return p.Path == path })
}

func (v *validator) port(path, port string) {
	if port == "" {
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		v.fail(path, "", "port %s is outside 1 to 65535", port)
	}
}

func (v *validator) protocol(t Target, scheme string) {
	if implied := protocolOf(t.URL); (t.Protocol == ProtocolH2 || t.Protocol == ProtocolH2C) && t.Protocol != implied {
		v.fail("target.protocol", fmt.Sprintf("use %s, or change the URL's scheme", implied),
			"%s does not go with %s: h2 is HTTP/2 over TLS, h2c is HTTP/2 in cleartext", t.Protocol, scheme+"://")
	}
}

func (v *validator) tls(tls TLS, scheme string) {
	if reflect.ValueOf(tls).IsZero() {
		return
	}
	if scheme == "http" {
		v.fail("target.tls", "use an https URL", "TLS settings have no effect on http://")
	}
	if (tls.CertFile == "") != (tls.KeyFile == "") {
		v.fail("target.tls", "", "certFile and keyFile are given together or not at all")
	}
}

// offLoopback holds a target that others may depend on to the guards.
func (v *validator) offLoopback(address string) {
	guards := v.s.Guards
	if guards.MaxRate.IsZero() && !v.hasProblemAt("guards.maxRate") {
		v.failNear("target.url", "guards.maxRate", "add guards: {maxRate: …} with a rate that the target can certainly take",
			"is missing: it is required because %s is not on loopback", address)
	}
	if v.s.Load.Arrivals == Closed {
		v.fail("load.arrivals", "use poisson arrivals", "closed arrivals cannot be held to guards.maxRate, which is required because %s is not on loopback", address)
	}
	if guards.AllowMutations {
		return
	}
	for i, r := range v.s.Requests {
		if !slices.Contains([]string{"", "GET", "HEAD", "OPTIONS"}, r.Method) {
			v.fail(fmt.Sprintf("requests[%d].method", i), "set guards.allowMutations: true if the target may be changed",
				"%s may change the target, and %s is not on loopback", r.Method, address)
		}
	}
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		isLetterOrDigit := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !isLetterOrDigit && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}
