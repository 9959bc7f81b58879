// Package feed owns what requests take from a file of values, one row a request.
//
//  1. Fixed tells what of the requests stays the same for every sending; a kind
//     of request whose path, headers, body or message has a placeholder ${name}
//     varies in those.
//  2. A Feed reads rows of a CSV or JSON Lines file ahead of need, in a goroutine
//     of its own and in bounded memory, so that the file may have any size.
//  3. Next puts the next row into the parts that vary, which were split at their
//     placeholders once, and returns an exchange.Variation. It neither blocks nor
//     allocates.
//
// Each of several workers has a Feed of its own. Row r of the file (from 0, and
// counted on through the rounds of an in-turn feed) goes to worker r mod workers,
// and each worker takes its rows in their order, one for each request of a kind
// that varies. Which request gets which row so follows from the seed alone, as
// the shares of workers do, and no two workers share a row in one round.
//
// How a value is written:
//
//   - In a path or query it is percent-encoded, but for letters, digits and -._~
//     (RFC 3986, section 2.3): a slash becomes %2F.
//   - In a header it is as it is; control characters are errors, and spaces at the
//     ends of the whole header are dropped.
//   - In a JSON body, inside quotes, it is escaped as a JSON string is. Outside of
//     quotes it has to be a JSON value, such as 12 or [1,2], and is as it is. A
//     gRPC message is JSON; a body is when its content-type says json, or when it
//     has none and begins with { or [.
//   - In any other body it is as it is.
//
// A value of a CSV file is the text of its cell. A value of a JSON Lines file is
// the text of a string, and the JSON of anything else.
package feed
