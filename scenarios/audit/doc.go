// Package audit owns the rules for a mesh's files, and the list of what is good
// practice in production.
//
//  1. Audit reads the files with scenarios/mesh, which finds what does not fit a
//     kind, and brings together what belongs together: a host and its service, a
//     service and its replicas, a subset and its routes.
//  2. Rules returns the rules: what each looks for, why it matters and how it is
//     put right. Each has a code that never changes its meaning.
//  3. Comments in the files silence findings, and have to say why.
//  4. The practices are answered from the same files: met, not met, or not to be
//     told from them.
//
// Everything here is a function of the files' contents; who reads the files is
// not its business.
package audit
