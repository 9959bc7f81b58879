// Package html writes a document as one self-contained HTML file: style, script
// and data are in it, and it asks no network for anything.
//
// What is said is in the page without any script. The script only draws the
// charts, whose numbers the tables have too.
package html
