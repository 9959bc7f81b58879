package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// How long code may be, in lines. They are a little above what the style asks
// for, so that a change is not held up by its last comment.
const (
	longestFile     = 700
	longestFunction = 100
)

// source is one Go file of the project.
type source struct {
	name   string // from the project's root, with slashes
	folder string
	test   bool
	lines  int
	tree   *ast.File
	files  *token.FileSet
}

func parse(name string, content []byte) (source, error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	return source{
		name:   name,
		folder: path.Dir(name),
		test:   strings.HasSuffix(name, "_test.go"),
		lines:  files.File(tree.Pos()).LineCount(),
		tree:   tree,
		files:  files,
	}, nil
}

// inCmd reports whether the file belongs to the room that knows of a user.
func (s source) inCmd() bool { return s.folder == "cmd" || strings.HasPrefix(s.folder, "cmd/") }

// pure reports whether the file belongs to a room whose code is a function of
// its arguments: what is computed from a record, and when arrivals are due.
func (s source) pure() bool {
	return s.folder == "loadgen/schedule" || s.folder == "analysis" || strings.HasPrefix(s.folder, "analysis/") ||
		s.folder == "reports" || strings.HasPrefix(s.folder, "reports/")
}

func (s source) at(node ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.name, s.files.Position(node.Pos()).Line, fmt.Sprintf(format, args...))
}

// majorVersion ends the path of a package whose name comes before it.
var majorVersion = regexp.MustCompile(`/v[0-9]+$`)

// imports returns the local name of each imported package by its path; a dot
// import has the name ".".
func (s source) imports() map[string]string {
	names := make(map[string]string)
	for _, spec := range s.tree.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has seen to that
		}
		names[imported] = path.Base(majorVersion.ReplaceAllString(imported, ""))
		if spec.Name != nil {
			names[imported] = spec.Name.Name
		}
	}
	return names
}

// uses calls found for every mention of a package's name, as "os.Exit".
func (s source) uses(found func(node ast.Node, name string)) {
	byName := make(map[string]string)
	for imported, name := range s.imports() {
		byName[name] = imported
	}
	ast.Inspect(s.tree, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if left, ok := selector.X.(*ast.Ident); ok && byName[left.Name] != "" {
			found(node, byName[left.Name]+"."+selector.Sel.Name)
		}
		return true
	})
}

// rules are all that is asked of a file, by name.
func rules() map[string]func(source) []string {
	return map[string]func(source) []string{
		"only cmd knows the user":       userOutsideCmd,
		"pure rooms are pure":           impureRooms,
		"no init":                       initFunctions,
		"no variables that can change":  variables,
		"no waiting by the clock":       waiting,
		"of x/net/http2 only the frame": wrapperOfHTTP,
		"files and functions are short": length,
	}
}

var (
	userImport = regexp.MustCompile(`^(os/signal|github\.com/spf13/(cobra|pflag)|golang\.org/x/term)$`)
	userName   = regexp.MustCompile(`^(flag\.[A-Z][a-zA-Z0-9]*|os\.(Getenv|LookupEnv|ExpandEnv|Setenv|Args|Exit|Stdin|Stdout|Stderr|UserHomeDir|UserCacheDir|UserConfigDir)|fmt\.(Print|Printf|Println|Scan|Scanf|Scanln)|log\.(Print|Printf|Println|Fatal|Fatalf|Fatalln|Panic|Panicf|Panicln|Default)|syscall\.Exit|net/http\.(ProxyFromEnvironment|DefaultTransport|DefaultClient)|os/exec\.LookPath|golang\.org/x/sys/unix\.Exit)$`)
)

// flagSet are the parts of package flag for arguments that a caller hands over,
// as a process does to a child of its own. They read nothing by themselves.
var flagSet = regexp.MustCompile(`^flag\.(NewFlagSet|FlagSet|ContinueOnError|ErrHelp|Value)$`)

// userOutsideCmd finds code outside cmd that reads flags or environment, prints,
// or exits.
func userOutsideCmd(s source) []string {
	if s.inCmd() || s.test {
		return nil
	}
	var found []string
	for _, spec := range s.tree.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil && userImport.MatchString(name) {
			found = append(found, s.at(spec, "imports %s: only cmd knows that there is a user", name))
		}
	}
	s.uses(func(node ast.Node, name string) {
		if userName.MatchString(name) && !flagSet.MatchString(name) {
			found = append(found, s.at(node, "uses %s: only cmd knows that there is a user", name))
		}
	})
	ast.Inspect(s.tree, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			if name, ok := call.Fun.(*ast.Ident); ok && (name.Name == "print" || name.Name == "println") {
				found = append(found, s.at(node, "uses %s: only cmd prints", name.Name))
			}
		}
		return true
	})
	return found
}

var (
	impureImport = regexp.MustCompile(`^(net|net/http|net/netip|os|os/exec|syscall|golang\.org/x/sys/unix|runtime/metrics)$`)
	impureName   = regexp.MustCompile(`^(time\.(Now|Since|Until|Sleep|NewTimer|NewTicker|Tick|After|AfterFunc)|math/rand(/v2)?\.(Int|Int32|Int64|Uint32|Uint64|IntN|Int32N|Int64N|Uint32N|Uint64N|UintN|N|Intn|Int31|Int31n|Int63|Int63n|Float32|Float64|NormFloat64|ExpFloat64|Perm|Shuffle|Seed))$`)
)

// impureRooms finds code in a pure room that looks at a clock, the network, the
// system, or a source of chance that its caller did not give it.
func impureRooms(s source) []string {
	if !s.pure() || s.test {
		return nil
	}
	var found []string
	for _, spec := range s.tree.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil && impureImport.MatchString(name) {
			found = append(found, s.at(spec, "imports %s in a room that is a function of its arguments", name))
		}
	}
	s.uses(func(node ast.Node, name string) {
		if impureName.MatchString(name) {
			found = append(found, s.at(node, "uses %s in a room that is a function of its arguments", name))
		}
	})
	return found
}

func initFunctions(s source) []string {
	var found []string
	for _, declaration := range s.tree.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			found = append(found, s.at(f, "has an init function: construct it where it is used"))
		}
	}
	return found
}

// constantCall is a call whose result nobody changes.
var constantCall = regexp.MustCompile(`^(errors\.New|fmt\.Errorf|regexp\.MustCompile|regexp\.MustCompilePOSIX)$`)

// variables finds package-level variables that can change. Allowed are error
// values, compiled regular expressions, embedded files, checks that a type has
// an interface, and the version that the linker sets in a program.
func variables(s source) []string {
	if s.test {
		return nil
	}
	var found []string
	for _, declaration := range s.tree.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.VAR {
			continue
		}
		for _, spec := range group.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok || embeds(group.Doc) || embeds(value.Doc) || s.isVersion(value) {
				continue
			}
			for i, name := range value.Names {
				if name.Name != "_" && !s.constant(value, i) {
					found = append(found, s.at(name, "has a variable %s of the package: pass it as an argument, or make it a function", name.Name))
				}
			}
		}
	}
	return found
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}

// isVersion reports whether this is the string that `go build -ldflags -X` sets.
func (s source) isVersion(value *ast.ValueSpec) bool {
	return s.tree.Name.Name == "main" && len(value.Names) == 1 && value.Names[0].Name == "version"
}

// constant reports whether the i-th name of a declaration has a value that
// nobody changes.
func (s source) constant(value *ast.ValueSpec, i int) bool {
	if len(value.Values) != len(value.Names) {
		return false
	}
	// An error of a type of its own, declared as an error.
	if kind, ok := value.Type.(*ast.Ident); ok && kind.Name == "error" {
		return true
	}
	call, ok := value.Values[i].(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	left, ok := f.X.(*ast.Ident)
	return ok && constantCall.MatchString(left.Name+"."+f.Sel.Name)
}

// waiting finds tests that sleep, and code that leaves a timer behind. A process
// that a test starts in order to kill it may sleep: for time.Hour, which no test
// would wait for.
func waiting(s source) []string {
	var found []string
	hours := make(map[ast.Node]bool)
	ast.Inspect(s.tree, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok && len(call.Args) == 1 {
			if arg, ok := call.Args[0].(*ast.SelectorExpr); ok && arg.Sel.Name == "Hour" {
				hours[call.Fun] = true
			}
		}
		return true
	})
	s.uses(func(node ast.Node, name string) {
		switch {
		case name == "time.Sleep" && s.test && !hours[node]:
			found = append(found, s.at(node, "sleeps: wait for what the test is about, or use testing/synctest"))
		case (name == "time.After" || name == "time.Tick") && !s.test:
			found = append(found, s.at(node, "uses %s, whose timer nobody stops", name))
		}
	})
	return found
}

var wrapper = regexp.MustCompile(`^golang\.org/x/net/http2\.(Transport|Server|ServeConnOpts|ClientConn|ConfigureTransports?|ConfigureServer)$`)

// wrapperOfHTTP finds uses of the parts of x/net/http2 that will become wrappers
// of net/http.
func wrapperOfHTTP(s source) []string {
	var found []string
	s.uses(func(node ast.Node, name string) {
		if wrapper.MatchString(name) {
			found = append(found, s.at(node, "uses %s: only the framer and hpack stay what they are", name))
		}
	})
	return found
}

func length(s source) []string {
	var found []string
	if s.lines > longestFile {
		found = append(found, fmt.Sprintf("%s: has %d lines, more than %d: is there a second noun in it?", s.name, s.lines, longestFile))
	}
	for _, declaration := range s.tree.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || s.test {
			continue
		}
		if lines := s.files.Position(f.End()).Line - s.files.Position(f.Pos()).Line + 1; lines > longestFunction {
			found = append(found, s.at(f, "%s has %d lines, more than %d", f.Name.Name, lines, longestFunction))
		}
	}
	return found
}

// undocumented says what is wrong with the comment of a package, given its
// files; "" when nothing is.
func undocumented(folder string, sources []source) string {
	for _, s := range sources {
		name := "Package " + s.tree.Name.Name + " "
		if s.tree.Name.Name == "main" {
			name = "Command " + path.Base(folder) + " "
		}
		if !s.test && s.tree.Doc != nil && strings.HasPrefix(s.tree.Doc.Text(), name) {
			return ""
		}
	}
	return folder + " has no comment that says what the package owns"
}

// vague reports whether a package's name says nothing about what is in it.
func vague(folder string) bool {
	return slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "misc", "shared", "lib"}, path.Base(folder))
}

// homely is a path as it is on one machine and on no other: in somebody's home,
// or in a folder for checkouts.
var homely = regexp.MustCompile(`(^|[^A-Za-z0-9_.$}/-])(/(home|root|Users|work|workspace|builds)/[A-Za-z0-9_.-]+)`)

// localPaths returns the paths in a file that mean something on one machine only.
// Checkout is where the project lies on this one.
func localPaths(name string, content []byte, checkout string) []string {
	var found []string
	for number, line := range strings.Split(string(content), "\n") {
		for _, match := range homely.FindAllStringSubmatch(line, -1) {
			found = append(found, fmt.Sprintf("%s:%d: has a path of one machine, %s", name, number+1, match[2]))
		}
		if strings.Count(checkout, "/") > 1 && strings.Contains(line, checkout) {
			found = append(found, fmt.Sprintf("%s:%d: has the path of this checkout", name, number+1))
		}
	}
	return found
}
