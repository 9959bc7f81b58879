// Package grpc owns calls of gRPC: what is sent, and what an answer was.
//
//  1. Descriptors know the methods that can be called, from a descriptor set
//     (ReadDescriptorSet) or from the server itself (Reflect).
//  2. A Method turns a message in JSON into the bytes that are sent: into a
//     Request once, or with an Encoder each time when a feed fills the message.
//  3. A Conn is an HTTP/2 connection that scores answers by their grpc-status
//     and counts their messages.
//
// Unary and server-streaming methods can be called. Messages of answers are
// counted, not decoded. Only Reflect opens a connection, and only before a load
// begins; the rest is a function of bytes.
package grpc
