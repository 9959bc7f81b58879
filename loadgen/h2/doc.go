// Package h2 owns one client connection of HTTP/2 (RFC 9113), without its
// socket: bytes that came in go to Ingest, bytes that have to go out are taken
// from Out. So it is tested and fuzzed as a function of bytes, and whoever owns
// the socket decides how many frames leave in one write.
//
//  1. New writes the preface and the settings; the connection is Ready when the
//     peer's settings are in.
//
//  2. Start encodes a request into Out. Each request's header block is encoded
//     once and reused until an insertion into the peer's table moves its indices.
//
//  3. Ingest parses frames where they lie. What ended (answers, resets, refusals)
//     is collected in Done.
//
//  4. A Reader, such as gRPC, sees what answers bring beyond that.
//
// Nothing here starts a goroutine, locks or reads a clock, and once slots and
// buffers have grown to their size a request allocates nothing, however the peer
// writes its header blocks: they are read where they lie.
package h2
