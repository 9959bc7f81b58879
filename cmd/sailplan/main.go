// Command sailplan says how many replicas, which connection-pool limits and
// which scaling thresholds a service mesh needs for which traffic.
package main

import (
	"os"

	"github.com/sailplan-io/sailplan/cmd/internal/cli"
)

// version is set by the build; a build without it says "dev".
var version = "dev"

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Process{
		Version:    version,
		Stdin:      os.Stdin,
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		LookupEnv:  os.LookupEnv,
		Environ:    os.Environ,
		Executable: os.Executable,
	}))
}
