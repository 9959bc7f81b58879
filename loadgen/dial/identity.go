package dial

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"
)

// identity is the client's certificate, read again when its files change. Its
// owner keeps goroutines apart.
type identity struct {
	certFile, keyFile string
	every             time.Duration
	certificate       *tls.Certificate
	stamps            [2]stamp  // of the files when they were last read, or could not be
	checked           time.Time // when they were last looked at
}

// stamp tells versions of a file apart. Kubernetes replaces files by pointing a
// link elsewhere, so it is of what the name leads to.
type stamp struct {
	info    os.FileInfo // nil: there is no such file
	problem string
}

func stampOf(name string) stamp {
	info, err := os.Stat(name)
	if err != nil {
		return stamp{problem: err.Error()}
	}
	return stamp{info: info}
}

func (s stamp) same(other stamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil && s.problem == other.problem
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime())
}

func newIdentity(certFile, keyFile string, every time.Duration) (*identity, error) {
	if certFile == "" || keyFile == "" {
		return nil, errors.New("certFile and keyFile: one needs the other")
	}
	i := &identity{certFile: certFile, keyFile: keyFile, every: every, checked: time.Now()}
	i.stamps = [2]stamp{stampOf(certFile), stampOf(keyFile)}
	return i, i.read()
}

func (i *identity) read() error {
	certificate, err := tls.LoadX509KeyPair(i.certFile, i.keyFile)
	if err != nil {
		return fmt.Errorf("certFile and keyFile: %w", err)
	}
	i.certificate = &certificate
	return nil
}

// refresh reads the files if they have changed since the last time. When that
// does not work the old certificate stays, and the error is returned once for
// each change: the two files are rarely replaced in one instant, so the next
// change may complete the pair.
func (i *identity) refresh(now time.Time) (changed bool, err error) {
	if now.Sub(i.checked) < i.every {
		return false, nil
	}
	i.checked = now
	// Before reading: what changes while they are read is noticed next time.
	stamps := [2]stamp{stampOf(i.certFile), stampOf(i.keyFile)}
	if stamps[0].same(i.stamps[0]) && stamps[1].same(i.stamps[1]) {
		return false, nil
	}
	i.stamps = stamps
	if err := i.read(); err != nil {
		return false, fmt.Errorf("the client's certificate has changed and can't be read, the old one stays in use: %w", err)
	}
	return true, nil
}
