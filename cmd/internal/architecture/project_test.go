package architecture

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sailplan-io/sailplan"

// root is where the project begins, seen from this folder.
const root = "../../.."

// project returns the Go files of the project by their folder. It reads the
// folders itself instead of asking the go command, so that files of other
// platforms are there too and the test runs again when there is a new one.
func project(t *testing.T) map[string][]source {
	t.Helper()
	sources := make(map[string][]source)
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			if name != "." && (base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		s, err := parse(name, content)
		if err != nil {
			return err
		}
		sources[s.folder] = append(sources[s.folder], s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// ours returns the folders of this module that the files import.
func ours(sources []source, test bool) []string {
	folders := make(map[string]bool)
	for _, s := range sources {
		for imported := range s.imports() {
			if folder, ok := strings.CutPrefix(imported, module+"/"); ok && s.test == test {
				folders[folder] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(folders))
}

func TestImports(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	rooms, err := readTable(string(text))
	if err != nil {
		t.Fatalf("docs/design.md: %v", err)
	}
	packages := project(t)
	for folder, sources := range packages {
		for _, problem := range rooms.forbidden(folder, ours(sources, false)) {
			t.Error(problem)
		}
		for _, problem := range against(folder, ours(sources, true)) {
			t.Error(problem)
		}
	}
	for folder := range rooms {
		if len(packages[folder]) == 0 {
			t.Errorf("the table of rooms has %s, and the project has not", folder)
		}
	}
}

func TestRules(t *testing.T) {
	packages := project(t)
	for name, rule := range rules() {
		t.Run(name, func(t *testing.T) {
			for _, sources := range packages {
				for _, s := range sources {
					for _, problem := range rule(s) {
						t.Error(problem)
					}
				}
			}
		})
	}
}

func TestPackageComments(t *testing.T) {
	for folder, sources := range project(t) {
		if problem := undocumented(folder, sources); problem != "" {
			t.Error(problem)
		}
		if vague(folder) {
			t.Errorf("%s: the name does not say what the package owns", folder)
		}
	}
}

func TestNoPathsOfOneMachine(t *testing.T) {
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("git", "ls-files", "-z")
	list.Dir = root
	listed, err := list.Output()
	if err != nil {
		if strings.Contains(os.Getenv("SAILPLAN_TEST_REQUIRE"), "git") {
			t.Fatalf("git is required: %v", err)
		}
		t.Skipf("which files belong to the project is not known without Git: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and the commit that says so is still to come
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(content, 0) >= 0 {
			continue
		}
		for _, problem := range localPaths(name, content, filepath.ToSlash(checkout)) {
			t.Error(problem)
		}
	}
}
