package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// EnvoyRelease is the version of Envoy that is pinned: what InstallEnvoy installs unless
// another one is asked for, and what FindEnvoy takes from the cache folder.
const EnvoyRelease = "1.40.0"

// FoundEnvoy is an Envoy and how it was found.
type FoundEnvoy struct {
	Path   string
	Source string // in words: "--envoy", "SAILPLAN_ENVOY", "the cache folder", "PATH"
}

// ErrNoEnvoy means that there is no Envoy in any of the places looked at.
var ErrNoEnvoy = errors.New("no Envoy found")

// EnvoyPlaces are where FindEnvoy looks, in this order. Empty places are skipped.
type EnvoyPlaces struct {
	Explicit    string // of the command line
	Environment string // the value of SAILPLAN_ENVOY
	CacheDir    string // where InstallEnvoy installs
	SearchPath  string // the value of PATH
}

// FindEnvoy returns the first Envoy. A place that names a file which is not an
// executable is an error, not a reason to look further; ErrNoEnvoy when no
// place has one.
func FindEnvoy(places EnvoyPlaces) (FoundEnvoy, error) {
	for _, named := range []FoundEnvoy{
		{Path: places.Explicit, Source: "--envoy"},
		{Path: places.Environment, Source: "SAILPLAN_ENVOY"},
	} {
		if named.Path == "" {
			continue
		}
		if err := executable(named.Path); err != nil {
			return FoundEnvoy{}, fmt.Errorf("%s: %w", named.Source, err)
		}
		path, err := filepath.Abs(named.Path)
		if err != nil {
			return FoundEnvoy{}, fmt.Errorf("%s: %w", named.Source, err)
		}
		return FoundEnvoy{Path: path, Source: named.Source}, nil
	}
	if places.CacheDir != "" {
		path := cachedEnvoy(places.CacheDir, EnvoyRelease)
		if executable(path) == nil {
			return FoundEnvoy{Path: path, Source: "the cache folder"}, nil
		}
	}
	if path, err := findProgram("envoy", places.SearchPath); err == nil {
		return FoundEnvoy{Path: path, Source: "PATH"}, nil
	}
	return FoundEnvoy{}, ErrNoEnvoy
}

// cachedEnvoy is where InstallEnvoy puts the binary.
func cachedEnvoy(cacheDir, release string) string {
	return filepath.Join(cacheDir, "envoy", release, "envoy")
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look for a program: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("look for a program: %s is not an executable file", path)
	}
	return nil
}

// versionLine is the answer to `envoy --version`:
// "envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL".
var versionLine = regexp.MustCompile(`version: [^/\s]+/([0-9]+\.[0-9]+\.[0-9]+[^/\s]*)/`)

// EnvoyVersion asks the Envoy at path for its version, such as "1.40.0".
func EnvoyVersion(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = []string{} // nil would be this process's own
	cmd.WaitDelay = time.Second
	output, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w%s", path, err, quoted(output))
	}
	match := versionLine.FindSubmatch(output)
	if match == nil {
		return "", fmt.Errorf("ask %s for its version: this is not Envoy%s", path, quoted(output))
	}
	return string(match[1]), nil
}

// quoted words a program's output for an error, at most its last 300 bytes.
func quoted(output []byte) string {
	text := strings.TrimSpace(string(output))
	if text == "" {
		return ""
	}
	if len(text) > 300 {
		text = "…" + text[len(text)-300:]
	}
	return ": " + text
}
