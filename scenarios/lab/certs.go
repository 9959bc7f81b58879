package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// trustDomain is Istio's default one.
const trustDomain = "cluster.local"

// spiffeID names a service account of the lab as Istio does.
func spiffeID(serviceAccount string) string {
	return "spiffe://" + trustDomain + "/ns/lab/sa/" + serviceAccount
}

// certificateLife covers the longest run by far; the certificates die with the
// lab's folder.
const certificateLife = 30 * 24 * time.Hour

// keyPair says where a certificate and its key are.
type keyPair struct {
	CertFile string
	KeyFile  string
}

// authority issues the lab's certificates.
type authority struct {
	dir    string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	caFile string
	serial int64
}

// newAuthority makes a certificate authority whose files lie in dir.
func newAuthority(dir string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the lab's CA key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{Organization: []string{trustDomain}, CommonName: "sailplan lab"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(certificateLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the lab's CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make the lab's CA certificate: %w", err)
	}
	a := &authority{dir: dir, cert: cert, key: key, caFile: filepath.Join(dir, "ca.pem"), serial: 1}
	if err := writePEM(a.caFile, "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return a, nil
}

// workload issues a certificate as istiod does: the identity is a URI, both
// for serving and for calling.
func (a *authority) workload(serviceAccount string) (keyPair, error) {
	id, err := url.Parse(spiffeID(serviceAccount))
	if err != nil {
		return keyPair{}, fmt.Errorf("identity of %s: %w", serviceAccount, err)
	}
	return a.issue(serviceAccount, &x509.Certificate{
		URIs:        []*url.URL{id},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

// localhost issues the certificate that the gateway shows the load generator.
func (a *authority) localhost(name string) (keyPair, error) {
	return a.issue(name, &x509.Certificate{
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

// issue completes the template, signs it and writes certificate and key.
func (a *authority) issue(name string, template *x509.Certificate) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("make the key of %s: %w", name, err)
	}
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.NotBefore, template.NotAfter = a.cert.NotBefore, a.cert.NotAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return keyPair{}, fmt.Errorf("write the key of %s: %w", name, err)
	}
	pair := keyPair{CertFile: filepath.Join(a.dir, name+".pem"), KeyFile: filepath.Join(a.dir, name+".key")}
	if err := writePEM(pair.CertFile, "CERTIFICATE", der); err != nil {
		return keyPair{}, err
	}
	if err := writePEM(pair.KeyFile, "PRIVATE KEY", secret); err != nil {
		return keyPair{}, err
	}
	return pair, nil
}

func writePEM(path, kind string, der []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
