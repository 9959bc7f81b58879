// Package quantity owns how a number with its unit is written for people: "1 240/s",
// "8.4 ms", "48.3 MiB", and an estimate with its interval. Reasons and tables use
// it alike, so that a number looks the same wherever it is read.
package quantity
