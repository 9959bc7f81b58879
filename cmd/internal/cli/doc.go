// Package cli owns the command line: one file a command, each with its options,
// flags, streams and exit codes. It is the only package that reads flags and
// environment or prints.
package cli
