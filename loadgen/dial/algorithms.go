package dial

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// algorithms sets versions, cipher suites and curves.
func (o TLSOptions) algorithms(config *tls.Config) error {
	var err error
	if config.MinVersion, err = version("minVersion", o.MinVersion, tls.VersionTLS12); err != nil {
		return err
	}
	if config.MaxVersion, err = version("maxVersion", o.MaxVersion, tls.VersionTLS13); err != nil {
		return err
	}
	if config.MinVersion > config.MaxVersion {
		return fmt.Errorf("minVersion %s is above maxVersion %s", o.MinVersion, o.MaxVersion)
	}
	if len(o.CipherSuites) > 0 && config.MinVersion > tls.VersionTLS12 {
		return errors.New("cipherSuites are those of TLS 1.2, which minVersion 1.3 rules out; those of TLS 1.3 can't be chosen")
	}
	for _, name := range o.CipherSuites {
		id, err := cipherSuite(name)
		if err != nil {
			return err
		}
		config.CipherSuites = append(config.CipherSuites, id)
	}
	for _, name := range o.Curves {
		i := slices.IndexFunc(curves(), func(c curve) bool { return c.name == name })
		if i < 0 {
			return fmt.Errorf("curves: there is no %q; there are %s", name, curveNames())
		}
		config.CurvePreferences = append(config.CurvePreferences, curves()[i].id)
	}
	if config.MaxVersion == tls.VersionTLS12 && len(o.Curves) > 0 &&
		!slices.ContainsFunc(config.CurvePreferences, func(id tls.CurveID) bool { return id != tls.X25519MLKEM768 }) {
		return errors.New("curves: X25519MLKEM768 needs TLS 1.3, which maxVersion 1.2 rules out")
	}
	return nil
}

// version returns the version that an option names.
func version(option, text string, otherwise uint16) (uint16, error) {
	switch text {
	case "":
		return otherwise, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("%s is %q, want 1.2 or 1.3", option, text)
}

// cipherSuite returns a suite of TLS 1.2 by its IANA name.
func cipherSuite(name string) (uint16, error) {
	var known []string
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		old := slices.Contains(suite.SupportedVersions, tls.VersionTLS12)
		if suite.Name == name && old {
			return suite.ID, nil
		}
		if suite.Name == name {
			return 0, fmt.Errorf("cipherSuites: %s is of TLS 1.3, whose suites can't be chosen; remove it, or set maxVersion 1.2 and choose one of TLS 1.2", name)
		}
		if old && !suite.Insecure {
			known = append(known, suite.Name)
		}
	}
	return 0, fmt.Errorf("cipherSuites: %q is not the IANA name of a suite of TLS 1.2 that is known here; among those are %s",
		name, strings.Join(known, ", "))
}

// curve is a way to exchange keys, with the name that scenarios have for it.
type curve struct {
	name string
	id   tls.CurveID
}

func curves() []curve {
	return []curve{
		{"X25519MLKEM768", tls.X25519MLKEM768}, {"X25519", tls.X25519},
		{"P-256", tls.CurveP256}, {"P-384", tls.CurveP384}, {"P-521", tls.CurveP521},
	}
}

func curveNames() string {
	var names []string
	for _, c := range curves() {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// Agreement is what the two sides of a TLS connection agreed on.
type Agreement struct {
	Protocol string // by ALPN; empty: the server chose none, and HTTP/1.1 was asked for
	Version  string // for example "TLS 1.3"
	Suite    string // IANA name
	Curve    string // by the name that scenarios have for it; empty: keys were not exchanged by one
	Resumed  bool   // an earlier session was resumed
}

func agreement(state tls.ConnectionState) Agreement {
	a := Agreement{
		Protocol: state.NegotiatedProtocol, Version: tls.VersionName(state.Version),
		Suite: tls.CipherSuiteName(state.CipherSuite), Resumed: state.DidResume,
	}
	if state.CurveID != 0 {
		a.Curve = state.CurveID.String()
		for _, c := range curves() {
			if c.id == state.CurveID {
				a.Curve = c.name
			}
		}
	}
	return a
}
