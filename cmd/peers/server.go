package main

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
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is an nghttpd in a process of its own.
type server struct {
	command *exec.Cmd
	address string
}

// serve starts a server with what a work needs, and waits until it listens.
func (p *peers) serve(w work, dir string) (*server, error) {
	if w.Replay {
		return startReplay(p.self)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	arguments := []string{"-a", "127.0.0.1", "-d", dir, "-n", strconv.Itoa(max(1, w.Servers)), "-m", "128"}
	if w.TLS {
		arguments = append(arguments, strconv.Itoa(port), filepath.Join(dir, keyFile), filepath.Join(dir, certificateFile))
	} else {
		arguments = append(arguments, "--no-tls", strconv.Itoa(port))
	}
	s := &server{command: exec.Command(nghttpd, arguments...), address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	s.command.Env = append(os.Environ(), "OPENSSL_CONF="+filepath.Join(dir, opensslFile))
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start nghttpd (Debian package nghttp2-server): %w", err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", s.address, time.Second)
		if err == nil {
			return s, conn.Close()
		}
		if time.Now().After(deadline) {
			s.stop()
			return nil, fmt.Errorf("nghttpd does not listen: %w", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *server) stop() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

func (s *server) url(w work) string {
	if w.TLS {
		return "https://" + s.address
	}
	return "http://" + s.address
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// Files that a server needs, besides those that it serves.
const (
	keyFile         = "key.pem"
	certificateFile = "certificate.pem"
	opensslFile     = "openssl.cnf"
)

// prepare writes all files of a server.
func prepare(dir string) error {
	files := map[string]string{
		smallFile: strings.Repeat("a", 1<<10),
		// Without this the server prefers AES-256.
		opensslFile: "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = default\n[default]\nCiphersuites = TLS_AES_128_GCM_SHA256\nMinProtocol = TLSv1.2\n",
	}
	for i := range mixSize {
		files[fmt.Sprintf("%s%d", largeFile, i)] = strings.Repeat("b", 16<<10-8) + "sailplan"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return certify(dir)
}

// certify writes a key and a certificate for the loopback address.
func certify(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		certificateFile: {Type: "CERTIFICATE", Bytes: certificate}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
