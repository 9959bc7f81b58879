// Package dial owns how a connection is opened and its TLS.
//
//  1. Options say where to connect and, when TLS is wanted, as whom and whom to
//     trust; NewTLS reads the files, and those of the client's certificate again
//     when they have changed.
//  2. Open resolves, connects and shakes hands, each step with the time it took,
//     and returns a Link. A Resolver shares connections out among the addresses
//     of a name; an address that does not answer holds up a connection for a
//     moment, and then the next one is tried beside it.
//  3. A Link is a connection that never blocks, for a loop that waits for many
//     of them at once. TLS is crypto/tls, fed with what has come in.
//
// An Error says at which step a connection failed, and why in the terms of the
// one who has to mend it: no such host, refused, an authority that is not
// trusted, a name that does not match, a protocol that was not agreed on.
//
// The sockets need Linux; elsewhere Open returns ErrPlatform.
package dial
