// Package live shows a run while it goes: a panel that is redrawn on a terminal,
// plain lines now and then elsewhere, and figures for Prometheus. It is fed one Tick a second, never blocks the
// run, and shows the latest it was given.
package live
