package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep removes what owners that are gone left behind in the state folder:
// first their processes, then their cgroups, then their folders. An owner is
// gone when no process has its id and start time, and nobody holds its lock.
// What can't be removed now is left for the next time, and reported. A state
// folder that does not exist has nothing to remove.
//
// A record that was damaged, as by a loss of power, counts as far as it can be
// read, and what is not in it is found by the owner's name.
func Sweep(ctx context.Context, stateDir string) (Swept, error) {
	entries, err := os.ReadDir(stateDir)
	if errors.Is(err, os.ErrNotExist) {
		return Swept{}, nil
	}
	if err != nil {
		return Swept{}, fmt.Errorf("look for leftovers: %w", err)
	}
	boot, err := bootID()
	if err != nil {
		return Swept{}, err
	}
	var swept Swept
	var errs []error
	for _, entry := range entries {
		if ctx.Err() != nil {
			break
		}
		id, ok := parseOwnerID(entry.Name())
		if !ok || !entry.IsDir() {
			continue
		}
		one, err := sweepOwner(filepath.Join(stateDir, entry.Name()), id, boot)
		swept.Owners += one.Owners
		swept.Processes += one.Processes
		swept.Damaged += one.Damaged
		if err != nil {
			errs = append(errs, fmt.Errorf("remove what %s left: %w", entry.Name(), err))
		}
	}
	if h, err := findHierarchy(); err == nil {
		sweepOrphans(h, time.Now())
	}
	return swept, errors.Join(errs...)
}

// orphanAge is how old a cgroup without a record must be to be removed: an owner
// that looks gone may live in another pid namespace and be about to fill it.
const orphanAge = 10 * time.Minute

// sweepOrphans removes empty cgroups whose owner is gone and whose record is
// lost, as when somebody deleted the state folder. It kills nothing.
func sweepOrphans(h hierarchy, now time.Time) {
	for _, parent := range (Cgroup{CPU: h.cpu, CPUAcct: h.cpuacct, Memory: h.memory}).folders() {
		entries, err := os.ReadDir(parent)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			parts := strings.SplitN(entry.Name(), "-", 5)
			if len(parts) < 5 {
				continue
			}
			owner, ok := parseOwnerID(strings.Join(parts[:4], "-"))
			info, err := entry.Info()
			if !ok || err != nil || owner.alive() || now.Sub(info.ModTime()) < orphanAge {
				continue
			}
			_ = unix.Rmdir(filepath.Join(parent, entry.Name())) // fails unless it is empty
		}
	}
}

// sweepOwner removes one owner's leftovers if it is gone.
func sweepOwner(folder string, owner identity, boot string) (swept Swept, err error) {
	text, err := os.ReadFile(filepath.Join(folder, recordFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Swept{}, fmt.Errorf("read its record: %w", err)
	}
	var left record
	damaged := false
	if err == nil {
		left, damaged = salvage(text)
	}
	// Without a record it started nothing: it died while registering, or is
	// about to register, which its name tells.
	sameBoot := left.BootID == "" || left.BootID == boot
	if sameBoot && owner.alive() {
		return Swept{}, nil
	}
	lock, err := lockFolder(folder)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
		return Swept{}, nil // alive where we can't see it, or being swept by somebody else
	}
	if err != nil {
		return Swept{}, err
	}
	defer lock.Close()
	if sameBoot {
		named := left.Groups
		if damaged {
			if h, err := findHierarchy(); err == nil {
				named = append(named, groupsNamed(h, filepath.Base(folder))...)
			}
		}
		groups := ownGroups(named, filepath.Base(folder))
		swept.Processes = killAll(left.Children, groups)
		if err := removeFolders(groups); err != nil {
			return swept, err
		}
	}
	if err := os.RemoveAll(folder); err != nil {
		return swept, fmt.Errorf("remove its folder: %w", err)
	}
	swept.Owners = 1
	if damaged {
		swept.Damaged = 1
	}
	return swept, nil
}

// salvage reads a record, or as much of the beginning of a damaged one as can be
// understood.
func salvage(text []byte) (left record, damaged bool) {
	if err := json.Unmarshal(text, &left); err == nil {
		return left, false
	}
	left = record{}
	in := json.NewDecoder(bytes.NewReader(text))
	if token, err := in.Token(); err != nil || token != json.Delim('{') {
		return left, true
	}
	for in.More() {
		key, err := in.Token()
		if err != nil {
			break
		}
		switch key {
		case "pid":
			err = in.Decode(&left.PID)
		case "startTicks":
			err = in.Decode(&left.StartTicks)
		case "bootId":
			err = in.Decode(&left.BootID)
		case "groups":
			left.Groups, err = salvageList[string](in)
		case "children":
			left.Children, err = salvageList[identity](in)
		default:
			var other any
			err = in.Decode(&other)
		}
		if err != nil {
			break
		}
	}
	return left, true
}

// salvageList reads the elements of a list that are whole.
func salvageList[T any](in *json.Decoder) (list []T, err error) {
	switch token, err := in.Token(); {
	case err != nil:
		return nil, err
	case token == nil: // null: an empty one
		return nil, nil
	case token != json.Delim('['):
		return nil, errNoList
	}
	for in.More() {
		var element T
		if err := in.Decode(&element); err != nil {
			return list, err
		}
		list = append(list, element)
	}
	_, err = in.Token()
	return list, err
}

var errNoList = errors.New("no list")

// groupsNamed returns the cgroups below the hierarchy's parents that carry the
// name of an owner.
func groupsNamed(h hierarchy, id string) []string {
	var named []string
	for _, parent := range (Cgroup{CPU: h.cpu, CPUAcct: h.cpuacct, Memory: h.memory}).folders() {
		entries, err := os.ReadDir(parent)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			if entry.IsDir() && strings.HasPrefix(entry.Name(), id+"-") {
				named = append(named, filepath.Join(parent, entry.Name()))
			}
		}
	}
	return named
}

// ownGroups keeps the recorded cgroups that can only be the owner's: a folder
// of a cgroup file system whose name starts with the owner's id.
func ownGroups(recorded []string, id string) []string {
	var own []string
	for _, folder := range recorded {
		if filepath.IsAbs(folder) && filepath.Clean(folder) == folder && strings.HasPrefix(filepath.Base(folder), id+"-") && onCgroupFS(folder) {
			own = append(own, folder)
		}
	}
	return own
}

func onCgroupFS(folder string) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		return false // gone, so there is nothing to remove
	}
	return fs.Type == unix.CGROUP_SUPER_MAGIC || fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// killAll kills the recorded children that are still the same processes, and
// all members of the owner's cgroups, and waits for them. It returns how many
// were alive.
func killAll(children []identity, groups []string) int {
	killed := make(map[int]bool)
	for _, child := range children {
		if killIdentified(child) {
			killed[child.PID] = true
		}
	}
	for _, folder := range groups {
		pids, err := members(folder)
		if err != nil {
			continue
		}
		for _, pid := range pids {
			if killed[pid] {
				continue
			}
			if id, ok := identify(pid); ok && killIdentified(id) {
				killed[pid] = true
			}
		}
	}
	return len(killed)
}

// killIdentified kills exactly this process and waits until it is gone, at most
// killWait. It reports whether it was there.
func killIdentified(id identity) bool {
	fd, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	// The descriptor holds on to one process: if the identity matches now, it
	// is this process that gets the signal.
	if !id.alive() {
		return false
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return false
	}
	deadline := time.Now().Add(killWait)
	for {
		left := time.Until(deadline)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(left, 0).Milliseconds()))
		if n > 0 || left <= 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return true
		}
	}
}
