// Package exchange owns what the protocols of the generator share.
//
//  1. A Request is one kind of request of the mix, ready to be encoded.
//  2. A Class says what became of one that was sent, or why it was not:
//     the outcomes that a caller of a mesh can tell apart.
//  3. Evidence is what an answer showed of its origin; Classify turns a status
//     and its evidence into a Class.
//
// The package knows no protocol, no clock and no socket.
package exchange
