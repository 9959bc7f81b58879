package dial

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"time"
)

// Options say where and how to connect.
type Options struct {
	Address string      // host:port
	TLS     *tls.Config // nil: cleartext. Made by NewTLS, and shared by all connections
}

// TLSFiles say which certificates a TLS client uses; all fields may be empty.
type TLSFiles struct {
	CAFile     string // authorities to trust, PEM; empty: those of the system
	CertFile   string // of the client, PEM; with KeyFile
	KeyFile    string
	ServerName string // to verify and to send; empty: the host of Authority
	Authority  string // host[:port] of the URL
	Insecure   bool   // accept any certificate
}

// NewTLS reads the files and returns the configuration of a client that offers
// HTTP/2 by ALPN.
func NewTLS(f TLSFiles) (*tls.Config, error) {
	config := &tls.Config{
		ServerName:         f.ServerName,
		InsecureSkipVerify: f.Insecure,
		NextProtos:         []string{protocolHTTP2},
		MinVersion:         tls.VersionTLS12,
		// Requests are written in batches, so that records are large anyway.
		DynamicRecordSizingDisabled: true,
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(f.Authority)
		if err != nil {
			host = f.Authority
		}
		config.ServerName = host
	}
	if f.CAFile != "" {
		text, err := os.ReadFile(f.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls: caFile: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("tls: caFile %s holds no certificate in PEM", f.CAFile)
		}
	}
	if f.CertFile != "" || f.KeyFile != "" {
		certificate, err := tls.LoadX509KeyPair(f.CertFile, f.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls: certFile and keyFile: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// Times are how long the steps of opening a connection took. Resolve is 0 for
// an address that needed none, Handshake for cleartext.
type Times struct {
	Resolve, Connect, Handshake time.Duration
}
