// Package junit writes the conditions of a document as a JUnit file: one suite
// for each group of conditions, one case for each condition, and one for the
// verdict.
package junit
