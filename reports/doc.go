// Package reports turns a result into a document: neutral blocks that every
// form of output renders in its own way.
//
//  1. A builder, one for each kind of result (Sizing, Load), chooses what is
//     said and in which order. It looks numbers up and never computes any.
//  2. Numbers become text in format.go and nowhere else.
//  3. A renderer (packages html, markdown, junit and terminal) writes the
//     document. It knows blocks, not results.
//
// All text in a document is raw: names in it may come from files of the user,
// and each renderer escapes what its own form gives a meaning to.
package reports
