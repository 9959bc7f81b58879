// Package terminal writes a document as plain text for a terminal: aligned,
// wrapped, without charts, and without colour.
package terminal
