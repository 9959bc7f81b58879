package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// The protocols that can be asked for by ALPN.
const (
	ProtocolHTTP2 = "h2"
	ProtocolHTTP1 = "http/1.1"
)

// TLSOptions say how a TLS client proves itself and whom it trusts. All fields
// may be empty.
type TLSOptions struct {
	Protocol     string   // asked for by ALPN: ProtocolHTTP2, which is the default, or ProtocolHTTP1
	CAFile       string   // authorities to trust, PEM; empty: those of the system
	CertFile     string   // of the client, PEM; with KeyFile. Both are read again when they change
	KeyFile      string   // PEM
	ServerName   string   // to send and to verify; empty: the host of Authority
	Authority    string   // host[:port] of the URL
	Insecure     bool     // accept any certificate
	MinVersion   string   // "1.2" or "1.3"; empty: 1.2
	MaxVersion   string   // "1.2" or "1.3"; empty: 1.3
	CipherSuites []string // of TLS 1.2, by their IANA names; empty: those that crypto/tls prefers
	Curves       []string // X25519MLKEM768, X25519, P-256, P-384, P-521; empty: those that crypto/tls prefers
	Resume       bool     // resume sessions on further connections
	SPIFFEID     string   // URI that the server's certificate has to carry; its names don't matter then

	// CheckEvery is how often, at most, the client's certificate is checked for a
	// change when a connection is opened. 0 means once a second.
	CheckEvery time.Duration
	// Reloaded is told when the files of the client's certificate have changed:
	// nil when new connections use the new one, or why they go on with the old
	// one. It is called by Open, by any goroutine; it may be nil.
	Reloaded func(error)
}

// TLS opens TLS connections; any number of goroutines may use it.
type TLS struct {
	protocol string
	identity *identity // nil: the client has no certificate
	resume   bool
	reloaded func(error)
	buffers  sync.Pool // of *outgoing: a link needs one only while it writes

	mu     sync.Mutex  // guards what follows
	config *tls.Config // replaced, not changed, when the certificate was
}

// NewTLS reads the files and checks the options.
func NewTLS(o TLSOptions) (*TLS, error) {
	t := &TLS{protocol: o.Protocol, resume: o.Resume, reloaded: o.Reloaded}
	t.buffers.New = func() any { return new(outgoing) }
	switch t.protocol {
	case "":
		t.protocol = ProtocolHTTP2
	case ProtocolHTTP1, ProtocolHTTP2:
	default:
		return nil, fmt.Errorf("tls: there is no protocol %q to ask for by ALPN", o.Protocol)
	}
	config, err := o.config(t.protocol)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if o.CertFile != "" || o.KeyFile != "" {
		every := o.CheckEvery
		if every == 0 {
			every = time.Second
		}
		if t.identity, err = newIdentity(o.CertFile, o.KeyFile, every); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	t.use(config)
	return t, nil
}

// current returns the configuration for a new connection. It looks first whether
// the client's certificate has changed, which a handshake that resumes a session
// would never ask for.
func (t *TLS) current() *tls.Config {
	t.mu.Lock()
	changed, err := false, error(nil)
	if t.identity != nil {
		if changed, err = t.identity.refresh(time.Now()); changed {
			t.use(t.config)
		}
	}
	config := t.config
	t.mu.Unlock()
	if (changed || err != nil) && t.reloaded != nil {
		t.reloaded(err)
	}
	return config
}

// Config returns the configuration for a new connection of a client that opens
// it in another way than by Open.
func (t *TLS) Config() *tls.Config { return t.current().Clone() }

// use makes a copy of a configuration the current one, with the client's current
// certificate. Its sessions begin anew, since a session stands for the
// certificate that it was opened with; tickets that connections of the old
// configuration still get go to the old sessions.
func (t *TLS) use(config *tls.Config) {
	config = config.Clone()
	if t.identity != nil {
		certificate := t.identity.certificate
		// Unlike Certificates this is sent whatever authorities the server names,
		// so that the server says what is wrong with it.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certificate, nil
		}
	}
	if t.resume {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	t.config = config
}

// config builds what does not change.
func (o TLSOptions) config(protocol string) (*tls.Config, error) {
	config := &tls.Config{
		ServerName:         o.ServerName,
		InsecureSkipVerify: o.Insecure,
		NextProtos:         []string{protocol},
		// Requests are written in batches, so that records are large anyway.
		DynamicRecordSizingDisabled: true,
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(o.Authority)
		if err != nil {
			host = strings.Trim(o.Authority, "[]")
		}
		config.ServerName = host
	}
	if err := o.algorithms(config); err != nil {
		return nil, err
	}
	if o.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("caFile: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("caFile %s holds no certificate in PEM", o.CAFile)
		}
	}
	if o.SPIFFEID != "" {
		if err := o.checkSPIFFEID(); err != nil {
			return nil, err
		}
		// crypto/tls would want the name of the host; the chain is verified below.
		config.InsecureSkipVerify = true
		config.VerifyConnection = verifySPIFFE(config.RootCAs, o.SPIFFEID)
	}
	return config, nil
}

func (o TLSOptions) checkSPIFFEID() error {
	if o.Insecure {
		return errors.New("insecure accepts any certificate, so that spiffeID would not be checked: leave one out")
	}
	id, err := url.Parse(o.SPIFFEID)
	if err != nil || id.Scheme != "spiffe" || id.Host == "" {
		return fmt.Errorf("spiffeID %q is not of the form spiffe://trust-domain/path", o.SPIFFEID)
	}
	return nil
}

// verifySPIFFE returns a check of the server's certificate: its chain leads to
// one of the roots, it is valid now and for a server, and carries the URI.
func verifySPIFFE(roots *x509.CertPool, id string) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server sent no certificate")
		}
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		leaf := state.PeerCertificates[0]
		if _, err := leaf.Verify(options); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		for _, uri := range leaf.URIs {
			if uri.String() == id {
				return nil
			}
		}
		return &identityError{want: id, leaf: leaf}
	}
}

// identityError says that a certificate is for somebody else.
type identityError struct {
	want string
	leaf *x509.Certificate
}

// namesShown bounds how many names of a certificate an error lists.
const namesShown = 8

func (e *identityError) Error() string {
	var has []string
	for _, uri := range e.leaf.URIs {
		has = append(has, uri.String())
	}
	kind := "URI"
	if len(has) == 0 {
		kind, has = "no URI, only the names", e.leaf.DNSNames
	}
	if len(has) == 0 {
		return fmt.Sprintf("the certificate has no URI and no names, want %s", e.want)
	}
	if more := len(has) - namesShown; more > 0 {
		has = append(has[:namesShown:namesShown], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("the certificate has %s %s, want %s", kind, strings.Join(has, ", "), e.want)
}
