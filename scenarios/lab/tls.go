package lab

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The stand-in's TLS mirrors what the Envoys are configured with.

// meshServerTLS accepts only callers that show a certificate of the mesh.
func meshServerTLS(caFile string, identity keyPair) (*tls.Config, error) {
	pool, certificate, err := loadIdentity(caFile, identity)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		MinVersion:   tls.VersionTLS12,
		VerifyConnection: func(state tls.ConnectionState) error {
			return hasIdentity(state, func(id string) bool { return strings.HasPrefix(id, "spiffe://"+trustDomain+"/") })
		},
	}, nil
}

// meshClientTLS accepts only the server whose identity is peer.
func meshClientTLS(caFile string, identity keyPair, peer string) (*tls.Config, error) {
	pool, certificate, err := loadIdentity(caFile, identity)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		ServerName:   outboundSNI,
		// Workload certificates carry no host name, so the chain and the
		// identity are verified below instead of by name.
		InsecureSkipVerify: true, //nolint:gosec // see VerifyConnection
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("the server shows no certificate")
			}
			options := x509.VerifyOptions{Roots: pool, Intermediates: x509.NewCertPool()}
			for _, certificate := range state.PeerCertificates[1:] {
				options.Intermediates.AddCert(certificate)
			}
			if _, err := state.PeerCertificates[0].Verify(options); err != nil {
				return fmt.Errorf("verify the server's certificate: %w", err)
			}
			return hasIdentity(state, func(id string) bool { return id == peer })
		},
	}, nil
}

func loadIdentity(caFile string, identity keyPair) (*x509.CertPool, tls.Certificate, error) {
	pool, err := certPool(caFile)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	certificate, err := tls.LoadX509KeyPair(identity.CertFile, identity.KeyFile)
	if err != nil {
		return nil, tls.Certificate{}, fmt.Errorf("load the proxy's identity: %w", err)
	}
	return pool, certificate, nil
}

func hasIdentity(state tls.ConnectionState, accepted func(id string) bool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the peer shows no certificate")
	}
	var ids []string
	for _, uri := range state.PeerCertificates[0].URIs {
		ids = append(ids, uri.String())
	}
	if !slices.ContainsFunc(ids, accepted) {
		return fmt.Errorf("the peer's identity %v is not accepted", ids)
	}
	return nil
}
