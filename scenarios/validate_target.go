package scenarios

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

func (v *validator) target(t Target) {
	if !v.address("target", t.URL, t.ConnectTo) {
		return
	}
	scheme, _, _ := strings.Cut(t.URL, "://")
	v.protocol(t, scheme)
	v.tls(t.TLS, scheme)
	if endpoint, err := t.endpoint(""); err == nil && !endpoint.OnLoopback() {
		v.offLoopback("target.url", endpoint.Address)
	}
	v.also(t)
}

// address checks where a target is. It reports whether that can be told at all.
func (v *validator) address(path, rawURL, connectTo string) bool {
	at := path + ".url"
	u, err := url.Parse(rawURL)
	if rawURL == "" || err != nil || v.hasProblemAt(at) {
		if rawURL != "" && !v.hasProblemAt(at) {
			v.fail(at, "", "not a URL")
		}
		return false
	}
	if u.User != nil {
		v.fail(at, "put credentials into a request's headers", "a user in the URL is not allowed")
	}
	if strings.Contains(rawURL, "?") || strings.Contains(rawURL, "#") {
		v.fail(at, "put a query into a request's path", "a query or fragment is not allowed")
	}
	if u.Hostname() == "" {
		v.fail(at, "", "the host is missing")
	}
	v.port(at, u.Port())
	if connectTo != "" {
		if _, port, err := net.SplitHostPort(connectTo); err == nil {
			v.port(path+".connectTo", port)
		}
	}
	return true
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

// offLoopback holds a target that others may depend on to the guards. near is
// the key that names it.
func (v *validator) offLoopback(near, address string) {
	guards := v.s.Guards
	if guards.MaxRate.IsZero() && !v.hasProblemAt("guards.maxRate") {
		v.failNear(near, "guards.maxRate", "add guards: {maxRate: …} with a rate that the target can certainly take",
			"is missing: it is required because %s is not on loopback", address)
	}
	if v.s.Load.Arrivals == Closed && !v.hasProblemAt("load.arrivals") {
		v.fail("load.arrivals", "use poisson arrivals", "closed arrivals cannot be held to guards.maxRate, which is required because %s is not on loopback", address)
	}
	if guards.AllowMutations {
		return
	}
	for i, r := range v.s.Requests {
		path, what := fmt.Sprintf("requests[%d].method", i), r.Method
		if r.GRPC != nil {
			path, what = fmt.Sprintf("requests[%d].grpc", i), "a gRPC call"
		}
		isSafe := r.GRPC == nil && slices.Contains([]string{"", "GET", "HEAD", "OPTIONS"}, r.Method)
		if !isSafe && !v.hasProblemAt(path) {
			v.fail(path, "set guards.allowMutations: true if the target may be changed",
				"%s may change the target, and %s is not on loopback", what, address)
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
