package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/sailplan-io/sailplan/scenarios/lab/process"
)

// What a child of the lab can be told to be, besides process.ShimVerb.
const (
	verbService = "service"
	verbGateway = "gateway"
	verbSidecar = "sidecar"

	verbBalancer = "balancer"
)

// Child is what the program does when it was started as a child of a lab: the
// arguments are those after Config.Self. It returns when ctx ends, after it has
// let its peers go in order, or when it can't go on. SIGTERM may be left to its
// default, which is quicker. Nothing is written to stdout; what is worth knowing
// besides the error goes to stderr.
func Child(ctx context.Context, args []string, _, stderr io.Writer) error {
	if len(args) == 0 {
		return errors.New("lab child: not told what to be")
	}
	verb, rest := args[0], args[1:]
	if verb == process.ShimVerb {
		return process.Shim(rest)
	}
	if len(rest) != 1 {
		return fmt.Errorf("lab child %s: want one argument, the configuration file", verb)
	}
	switch verb {
	case verbService:
		var config ServiceConfig
		if err := readConfig(rest[0], &config); err != nil {
			return err
		}
		runtime.GOMAXPROCS(max(1, config.Threads))
		return Serve(ctx, config)
	case verbGateway, verbSidecar:
		var config standInConfig
		if err := readConfig(rest[0], &config); err != nil {
			return err
		}
		runtime.GOMAXPROCS(max(1, config.Proxy.Concurrency))
		return standIn(ctx, verb, config, stderr)
	case verbBalancer:
		var config balancerConfig
		if err := readConfig(rest[0], &config); err != nil {
			return err
		}
		runtime.GOMAXPROCS(1)
		return balance(ctx, config, stderr)
	}
	return fmt.Errorf("lab child: unknown kind %q", verb)
}

func readConfig(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("lab child: read its configuration: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("lab child: read its configuration %s: %w", path, err)
	}
	return nil
}
