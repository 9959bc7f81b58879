package process

import (
	"errors"
	"os/exec"
	"runtime"
)

// spawner starts commands from one operating-system thread that lives until
// stop. The kernel sends a child its parent-death signal when the *thread* that
// forked it ends, and Go forks from whatever thread a goroutine is on: without
// a thread of its own a child could be killed by the runtime retiring one.
type spawner struct {
	requests chan spawnRequest
	done     chan struct{} // closed by the thread when it ends
}

type spawnRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest), done: make(chan struct{})}
	go s.loop()
	return s
}

func (s *spawner) loop() {
	defer close(s.done)
	// Never unlocked: the runtime ends the thread together with the goroutine,
	// so that a child that somehow survived stop is killed by the kernel.
	runtime.LockOSThread()
	for request := range s.requests {
		request.result <- request.cmd.Start()
	}
}

// start starts cmd on the spawner's thread. Not to be called during or after stop.
func (s *spawner) start(cmd *exec.Cmd) error {
	request := spawnRequest{cmd: cmd, result: make(chan error, 1)}
	select {
	case s.requests <- request:
		return <-request.result
	case <-s.done:
		return errors.New("the thread that starts children has ended")
	}
}

// stop ends the thread and waits for it.
func (s *spawner) stop() {
	close(s.requests)
	<-s.done
}
