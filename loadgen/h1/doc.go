// Package h1 owns one client connection of HTTP/1.1 (RFC 9112), without its
// socket: bytes that came in go to Ingest, bytes that have to go out are taken
// from Out. So it is tested and fuzzed as a function of bytes.
//
//  1. A connection has one request in flight; nothing is pipelined. The head of
//     each kind of request is encoded once and reused. Large bodies are not
//     copied, but lent out by Out piece by piece.
//  2. Ingest reads an answer line by line, where it lies, and passes over its
//     body. What may be read in two ways is a breach that ends the connection:
//     a length stated twice, or beside a transfer coding, lines that end in LF
//     alone, folded fields, whitespace before a colon.
//  3. The connection lasts from answer to answer unless the peer says that it
//     closes, speaks HTTP/1.0, ends its answer by closing, or has answered before
//     it took the whole request.
//  4. A request that the peer cannot have taken may be sent again: nothing of it
//     was written, or the peer closed a connection that had served before
//     without a word of answer, and repeating the request does no harm.
//
// Nothing here starts a goroutine, locks or reads a clock, and once buffers have
// grown to their size a request allocates nothing.
package h1
