package scenarios

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

func (v *validator) load() {
	load := v.s.Load
	if load.Shape != nil {
		v.shape(*load.Shape)
	}
	if load.Arrivals == Closed {
		if !load.Rate.IsZero() {
			v.fail("load.rate", "remove the rate, or use poisson arrivals", "a closed loop has no rate: it sends when answers come")
		}
		if load.Shape != nil {
			v.fail("load.shape", "remove the shape, or use poisson arrivals", "a closed loop has no rate that could change")
		}
		return
	}
	limit := v.s.Guards.MaxRate
	if !limit.IsZero() && load.Rate.RPS() > limit.RPS() {
		v.fail("load.rate", "", "%s is above guards.maxRate, %s", load.Rate, limit)
		return
	}
	if load.Shape == nil || load.Shape.Replay != nil || len(v.problems) > 0 {
		return
	}
	curve := load.Shape.points(load)
	if err := CheckCurve(curve, load.Duration); err != nil {
		v.fail("load.shape", "", "%s", err)
	} else if peak := PeakOf(curve); !limit.IsZero() && peak > limit.RPS() {
		v.fail("load.shape", "", "its peak of %s is above guards.maxRate, %s", PerSecond(peak), limit)
	}
}

// maxSwings bounds how often a sine swings, and with it the points of its curve.
const maxSwings = 1000

func (v *validator) shape(s Shape) {
	const path = "load.shape"
	var given []string
	for _, kind := range []struct {
		name string
		is   bool
	}{{"ramp", s.Ramp != nil}, {"steps", s.Steps != nil}, {"spike", s.Spike != nil}, {"sine", s.Sine != nil}, {"replay", s.Replay != nil}} {
		if kind.is {
			given = append(given, kind.name)
		}
	}
	if len(given) != 1 {
		v.fail(path, "give one of ramp, steps, spike, sine and replay", "%d shapes are given: exactly one is needed", len(given))
		return
	}
	load := v.s.Load
	aroundRate := s.Spike != nil || s.Sine != nil
	if aroundRate && load.Rate.IsZero() {
		v.fail("load.rate", "give the rate that the "+given[0]+" departs from", "is missing: a %s needs it", given[0])
	}
	if !aroundRate && !load.Rate.IsZero() {
		v.fail("load.rate", "remove it", "the rates of a %s are its own", given[0])
	}
	switch {
	case s.Ramp != nil && s.Ramp.From.IsZero() && s.Ramp.To.IsZero():
		v.fail(path+".ramp", "give from, to, or both", "goes from nothing to nothing")
	case s.Steps != nil:
		v.steps(path+".steps", s.Steps)
	case s.Spike != nil && s.Spike.For > load.Duration-s.Spike.At:
		v.fail(path+".spike", "", "ends at %s, after load.duration, %s", durationText(s.Spike.At+s.Spike.For), durationText(load.Duration))
	case s.Sine != nil:
		v.sine(path+".sine", *s.Sine)
	case s.Replay != nil:
		v.replay(path+".replay", *s.Replay)
	}
}

func (v *validator) steps(path string, steps []StepShape) {
	hasRate := false
	for _, step := range steps {
		hasRate = hasRate || !step.Rate.IsZero()
	}
	switch sum := total(steps); {
	case !hasRate:
		v.fail(path, "give a step with a rate", "nothing is ever sent")
	case sum > v.s.Load.Duration:
		v.fail(path, "shorten them, or remove load.duration to take their sum", "last %s together, longer than load.duration, %s", durationText(sum), durationText(v.s.Load.Duration))
	}
}

func (v *validator) sine(path string, s SineShape) {
	if rate := v.s.Load.Rate; !rate.IsZero() && s.Amplitude.RPS() > rate.RPS() {
		v.fail(path+".amplitude", "", "%s is more than load.rate, %s: the rate would fall below zero", s.Amplitude, rate)
	}
	if s.Period > 0 && v.s.Load.Duration/s.Period >= maxSwings {
		v.fail(path+".period", "", "load.duration has more than %d periods of %s", maxSwings, durationText(s.Period))
	}
}

func (v *validator) replay(path string, r Replay) {
	switch {
	case (r.File == "") == (r.Query == ""):
		v.fail(path, "give file, or query and last", "exactly one of file and query is needed")
	case r.Query != "" && v.s.Observe.Prometheus == "":
		v.fail(path+".query", "set observe.prometheus", "a query needs a Prometheus to ask")
	case r.Query != "" && r.Last == 0:
		v.fail(path+".last", "24h for instance", "is missing: a query needs to know how far to look back")
	case r.File != "" && r.Last > 0:
		v.fail(path+".last", "remove it", "is for a query only")
	}
}

func (v *validator) tls(t TLS, scheme string) {
	if t.isZero() {
		return
	}
	const path = "target.tls"
	if scheme == "http" {
		v.fail(path, "use an https URL", "TLS settings have no effect on http://")
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		v.fail(path, "", "certFile and keyFile are given together or not at all")
	}
	if t.MinVersion != "" && t.MaxVersion != "" && t.MinVersion > t.MaxVersion {
		v.fail(path+".maxVersion", "", "%s is below minVersion, %s", t.MaxVersion, t.MinVersion)
	}
	if len(t.CipherSuites) > 0 && t.MinVersion == "1.3" {
		v.fail(path+".cipherSuites", "remove them, or allow TLS 1.2", "have no effect on TLS 1.3, whose suites can't be chosen")
	}
	for i, name := range t.CipherSuites {
		if at := fmt.Sprintf("%s.cipherSuites[%d]", path, i); !v.hasProblemAt(at) {
			v.cipherSuite(at, name)
		}
	}
	if t.Insecure && t.SPIFFEID != "" {
		v.fail(path+".spiffeID", "remove insecure", "is not checked when any certificate is accepted")
	}
}

func (v *validator) cipherSuite(path, name string) {
	var known []string
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		isOld := slices.Contains(suite.SupportedVersions, tls.VersionTLS12)
		switch {
		case suite.Name == name && isOld:
			return
		case suite.Name == name:
			v.fail(path, "remove it", "%s is of TLS 1.3, whose suites can't be chosen", name)
			return
		case isOld:
			known = append(known, suite.Name)
		}
	}
	hint := "known: " + strings.Join(known, ", ")
	if near, ok := Nearest(name, known); ok {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	v.fail(path, hint, "%s is not known", name)
}

// also checks the further targets, and holds them to the guards.
func (v *validator) also(t Target) {
	main, err := t.endpoint("")
	if err != nil {
		return
	}
	for i, other := range t.Also {
		path := fmt.Sprintf("target.also[%d]", i)
		if !v.address(path, other.URL, other.ConnectTo) {
			continue
		}
		endpoint, err := t.other(other).endpoint("")
		if err != nil {
			continue
		}
		if endpoint.Scheme != main.Scheme {
			v.fail(path+".url", "", "%s:// is not the scheme of target.url: all targets share TLS settings and protocol", endpoint.Scheme)
		}
		if endpoint.Path != main.Path {
			v.fail(path+".url", "", "the path prefix is not that of target.url: all targets share the requests")
		}
		if !endpoint.OnLoopback() {
			v.offLoopback(path+".url", endpoint.Address)
		}
	}
}

func (v *validator) auth() {
	a := v.s.Auth
	if a == nil {
		return
	}
	given := 0
	for _, is := range []bool{a.TokenFile != "", len(a.Exec) > 0, a.OAuth2 != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		v.fail("auth", "give one of tokenFile, exec and oauth2ClientCredentials", "%d credentials are given: exactly one is needed", given)
	}
	if len(a.Exec) > 0 && strings.TrimSpace(a.Exec[0]) == "" {
		v.fail("auth.exec", "", "the command is empty")
	}
	header := strings.ToLower(a.Header)
	if a.Header != "" && (!isToken(a.Header) || slices.Contains([]string{"host", "te"}, header) || isOurs(header)) {
		v.fail("auth.header", "", "%q can't carry a credential", a.Header)
	}
	for i, r := range v.s.Requests {
		for name := range r.Headers {
			if strings.ToLower(name) == header {
				v.fail(join(fmt.Sprintf("requests[%d].headers", i), name), "remove it, or auth", "auth sets this header")
			}
		}
	}
	if a.OAuth2 == nil || v.hasProblemAt("auth.oauth2ClientCredentials.tokenURL") {
		return
	}
	u, err := url.Parse(a.OAuth2.TokenURL)
	switch {
	case err != nil || u.Hostname() == "":
		v.fail("auth.oauth2ClientCredentials.tokenURL", "", "not a URL")
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		v.fail("auth.oauth2ClientCredentials.tokenURL", "use https", "would send the client's secret in cleartext")
	}
}

// isZero reports whether nothing is set.
func (t TLS) isZero() bool { return reflect.ValueOf(t).IsZero() }
