package process

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stopGrace is how long Close lets a child end by itself.
const stopGrace = 3 * time.Second

// ownerPrefix starts the name of every owner's folder and of its cgroups.
const ownerPrefix = "sailplan-"

// record is what an owner's folder says about it: what Sweep has to remove.
type record struct {
	identity
	BootID   string     `json:"bootId"`
	Groups   []string   `json:"groups"`   // cgroup folders, entered before they are made
	Children []identity `json:"children"` // entered right after they are started
}

// Files of an owner's folder.
const (
	recordFile = "owner.json"
	lockFile   = "lock"
	filesDir   = "files"
)

// Owner starts children and sees to it that they are gone in the end.
type Owner struct {
	id      string // name of its folder, prefix of its cgroups
	folder  string
	self    []string
	lock    *os.File // held as long as the owner lives, also across pid namespaces
	spawner *spawner

	hierarchy     hierarchy
	hierarchyGone error // why there are no cgroups; nil: there are

	mu       sync.Mutex // guards what follows
	record   record
	children []*Process
	whyNot   []string // limits that were asked for and do not bind
	closed   bool

	closing  sync.Once
	closeErr error
}

// NewOwner registers an owner. Close must be called.
func NewOwner(config Config) (_ *Owner, err error) {
	me, ok := identify(os.Getpid())
	if !ok {
		return nil, errors.New("register as owner of processes: /proc has no entry of this process")
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	random := make([]byte, 3)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("register as owner of processes: %w", err)
	}
	o := &Owner{
		id:     fmt.Sprintf("%s%d-%d-%s", ownerPrefix, me.PID, me.StartTicks, hex.EncodeToString(random)),
		self:   slices.Clone(config.Self),
		record: record{identity: me, BootID: boot},
	}
	o.hierarchy, o.hierarchyGone = findHierarchy()
	stateDir, err := filepath.Abs(config.StateDir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	o.folder = filepath.Join(stateDir, o.id)
	if err := os.MkdirAll(filepath.Join(o.folder, filesDir), 0o700); err != nil {
		return nil, fmt.Errorf("make the owner's folder: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(o.folder)
		}
	}()
	if o.lock, err = lockFolder(o.folder); err != nil {
		return nil, err
	}
	if err := o.save(); err != nil {
		o.lock.Close()
		return nil, err
	}
	o.spawner = newSpawner()
	return o, nil
}

// lockFolder takes the folder's lock, or fails at once.
func lockFolder(folder string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(folder, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the owner's folder: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock the owner's folder %s: %w", folder, err)
	}
	return file, nil
}

// Folder returns a folder of the owner's own, readable by this user only. It
// goes with the owner.
func (o *Owner) Folder() string { return filepath.Join(o.folder, filesDir) }

// WhyNoLimits returns why limits that were asked for do not bind; empty when
// all of them do.
func (o *Owner) WhyNoLimits() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.whyNot)
}

// save writes the record so that a reader sees the old or the new, never half,
// whenever the owner dies. A loss of power may still tear it: waiting for the disk
// at each start of a child would be the price, and no child outlives that.
func (o *Owner) save() error {
	text, err := json.Marshal(o.record)
	if err != nil {
		return fmt.Errorf("register with %s: %w", o.folder, err)
	}
	path := filepath.Join(o.folder, recordFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("register with the state folder: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("register with the state folder: %w", err)
	}
	return nil
}

// Start starts a child. The context bounds only the start.
func (o *Owner) Start(ctx context.Context, options Options) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start %s: %w", options.Name, err)
	}
	if options.Name == "" || options.Name != filepath.Base(options.Name) || strings.HasPrefix(options.Name, ".") {
		return nil, fmt.Errorf("start %q: the name is not a plain file name", options.Name)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, fmt.Errorf("start %s: its owner is closed", options.Name)
	}
	for _, child := range o.children {
		if child.name == options.Name {
			return nil, fmt.Errorf("start %s: the name is taken", options.Name)
		}
	}
	g, err := o.newGroup(options)
	if err != nil {
		return nil, err
	}
	p, err := o.launch(options, g)
	if err != nil && g != nil && g.paths.Version == 2 && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)) {
		// The kernel refuses to put the child into a group that could be
		// made: start without rather than not at all.
		o.missing(options, err)
		p, err = o.launch(options, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", options.Name, err)
	}
	o.children = append(o.children, p)
	go p.watch()
	if id, ok := identify(p.pid); ok {
		o.record.Children = append(o.record.Children, id)
		if err := o.save(); err != nil {
			return nil, errors.Join(err, p.Stop(ctx, 0))
		}
	}
	return p, nil
}

// missing notes that a limit does not bind.
func (o *Owner) missing(options Options, why error) {
	if options.Limits != (Limits{}) {
		o.whyNot = append(o.whyNot, fmt.Sprintf("%s: %v", options.Name, why))
	}
}

// newGroup makes the child's cgroup, or returns nil where that is not permitted.
func (o *Owner) newGroup(options Options) (*group, error) {
	switch {
	case o.hierarchyGone != nil:
		o.missing(options, o.hierarchyGone)
		return nil, nil
	case o.hierarchy.version == 1 && len(o.self) == 0:
		o.missing(options, errors.New("no command to join a version 1 cgroup with"))
		return nil, nil
	}
	paths := o.hierarchy.paths(o.id + "-" + options.Name)
	before := len(o.record.Groups)
	o.record.Groups = append(o.record.Groups, paths.folders()...)
	if err := o.save(); err != nil {
		return nil, err
	}
	g, err := makeGroup(paths, options.Limits)
	if err != nil {
		o.missing(options, err)
		if err := removeFolders(paths.folders()); err != nil {
			return nil, err // the record still names them
		}
		o.record.Groups = o.record.Groups[:before]
		return nil, nil
	}
	return g, nil
}

// launch starts the child in the group (nil: in its parent's).
func (o *Owner) launch(options Options, g *group) (*Process, error) {
	lines := options.TailLines
	if lines <= 0 {
		lines = defaultTailLines
	}
	log := newTail(lines)
	path, args := options.Path, options.Args
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if g != nil && g.paths.Version == 2 {
		folder, err := os.Open(g.paths.CPU)
		if err != nil {
			return nil, fmt.Errorf("open cgroup: %w", err)
		}
		defer folder.Close()
		attributes.UseCgroupFD, attributes.CgroupFD = true, int(folder.Fd())
	} else if g != nil {
		shim := append(slices.Clone(o.self[1:]), shimArgs(os.Getpid(), g.paths.folders(), path, args)...)
		path, args = o.self[0], shim
	}
	cmd := exec.Command(path, args...) //nolint:noctx // its end is the owner's business, not a context's
	cmd.Env = append([]string{}, options.Env...)
	cmd.Dir = options.Dir
	if cmd.Dir == "" {
		cmd.Dir = o.Folder()
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes
	cmd.WaitDelay = time.Second
	if err := o.spawner.start(cmd); err != nil {
		return nil, err
	}
	return &Process{
		name: options.Name, cmd: cmd, pid: cmd.Process.Pid, tail: log, exited: make(chan struct{}),
		// A group exists only with all of its limits.
		group: g, bound: g != nil || options.Limits == Limits{},
	}, nil
}

// Close stops all children at once, removes their cgroups and the owner's
// folder, and unregisters. Safe to call more than once and from several
// goroutines; each call returns when all is done. When ctx ends, what is still
// there is killed without further grace.
func (o *Owner) Close(ctx context.Context) error {
	o.closing.Do(func() { o.closeErr = o.close(ctx) })
	return o.closeErr
}

func (o *Owner) close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	children := o.children
	groups := o.record.Groups
	o.mu.Unlock()

	errs := make([]error, len(children))
	var stopping sync.WaitGroup
	for i, child := range children {
		stopping.Go(func() { errs[i] = child.Stop(ctx, stopGrace) })
	}
	stopping.Wait()
	o.spawner.stop()
	err := errors.Join(errors.Join(errs...), removeFolders(groups))
	if err == nil {
		// Otherwise the record stays, for the next Sweep.
		if removeErr := os.RemoveAll(o.folder); removeErr != nil {
			err = fmt.Errorf("remove the owner's folder: %w", removeErr)
		}
	}
	if closeErr := o.lock.Close(); closeErr != nil && err == nil {
		err = fmt.Errorf("unlock the owner's folder: %w", closeErr)
	}
	return err
}

// parseOwnerID reads who owns a folder from its name.
func parseOwnerID(name string) (identity, bool) {
	rest, found := strings.CutPrefix(name, ownerPrefix)
	parts := strings.Split(rest, "-")
	if !found || len(parts) != 3 {
		return identity{}, false
	}
	pid, err := strconv.Atoi(parts[0])
	if err != nil || pid <= 0 {
		return identity{}, false
	}
	ticks, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return identity{}, false
	}
	return identity{PID: pid, StartTicks: ticks}, true
}
