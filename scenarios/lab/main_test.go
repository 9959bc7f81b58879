package lab_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sailplan-io/sailplan/scenarios/lab"
)

// The test binary is also what labs start: childWord makes it a child, as the
// hidden subcommand does with the program; ownerWord makes it the owner of a
// lab, to be killed.
const (
	childWord = "lab-child"
	ownerWord = "lab-owner"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == childWord || os.Args[1] == ownerWord) {
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer cancel()
		var err error
		if os.Args[1] == ownerWord {
			err = own(ctx, os.Args[2])
		} else {
			err = lab.Child(ctx, os.Args[2:], os.Stdout, os.Stderr)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// own starts the lab that the text describes, prints its members, and waits to
// be killed.
func own(ctx context.Context, text string) error {
	var config lab.Config
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	l, err := lab.Start(ctx, config)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(l.Members()); err != nil {
		return err
	}
	time.Sleep(time.Hour)
	return nil
}

// runOwner lets another process start the lab, kills it, and returns the
// lab's members once that process is gone.
func runOwner(t *testing.T, config lab.Config) (members []lab.Member) {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(config.Self[0], ownerWord, string(text))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(stdout).ReadBytes('\n')
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it should be
	if readErr != nil {
		t.Fatal(readErr)
	}
	if err := json.Unmarshal(line, &members); err != nil {
		t.Fatal(err)
	}
	return members
}
