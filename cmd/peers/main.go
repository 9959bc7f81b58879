// Command peers gives the same work to this generator and to others, one after
// another, and writes what each cost as a table into docs/performance.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	out := flag.String("out", "docs/performance.md", "the page to write")
	rounds := flag.Int("rounds", 3, "how often each row is measured, the clients in turn")
	seconds := flag.Float64("seconds", 2, "how long a client sends in one round; twice that in works with few requests")
	only := flag.String("only", "", "measure rows whose name contains this; without -keep they are printed and no page is written")
	keep := flag.String("keep", "", "file that keeps the results of other rows from one call to the next")
	profile := flag.String("profile", "", "write a CPU profile of our client to this file")
	replays := flag.Bool("replay", false, "be a server that answers everything alike (the program calls itself with it)")
	child := flag.Bool("order", false, "carry out the order on standard input (the program calls itself with it)")
	flag.Parse()
	if err := run(*child, *replays, options{
		out: *out, rounds: *rounds, length: time.Duration(*seconds * float64(time.Second)), only: strings.ToLower(*only), profile: *profile, keep: *keep,
	}); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(child, replays bool, o options) error {
	switch {
	case child:
		return serveOrder(os.Stdin, os.Stdout)
	case replays:
		return replay(os.Stdout)
	}
	return compare(o)
}
