// Package live shows a run while it goes: a status line that is redrawn on a
// terminal, plain lines elsewhere. It is fed one Tick a second, never blocks the
// run, and shows the latest it was given.
package live
