package sampler

import (
	"errors"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// fileReader reads small files of /proc and of cgroups into one buffer. It uses
// the system calls themselves: os.File would first try to have each one watched
// by the runtime's poller, at the cost of as much again.
type fileReader struct {
	root   string // "" for the machine's own
	buffer []byte
}

func newFileReader(root string) *fileReader {
	if root == "/" {
		root = ""
	}
	return &fileReader{root: root, buffer: make([]byte, 8<<10)}
}

// read returns the content of a file, valid until the next call.
func (r *fileReader) read(path string) ([]byte, error) {
	fd, err := openRetrying(r.root + path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	n := 0
	for {
		if n == len(r.buffer) {
			r.buffer = append(r.buffer, make([]byte, len(r.buffer))...)
		}
		got, err := unix.Read(fd, r.buffer[n:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case got == 0:
			return r.buffer[:n], nil
		default:
			n += got
		}
	}
}

func openRetrying(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// readIn returns the content of a file in a cgroup's folder.
func (r *fileReader) readIn(folder, name string) ([]byte, error) {
	return r.read(filepath.Join(folder, name))
}

// procPath names a file of a process, or of one of its threads.
func procPath(pid int, parts ...string) string {
	path := "/proc/" + strconv.Itoa(pid)
	for _, part := range parts {
		path += "/" + part
	}
	return path
}
