// Package mesh owns the user's Istio YAML and what it means for one destination.
//
//  1. Parse reads files strictly: several documents to a file, unknown fields
//     and wrong values reported with file, line, column and a hint. Istio's own
//     generated decoder swallows unknown fields, so the YAML nodes are walked
//     along the protobuf descriptors of the API types.
//  2. EffectiveFor merges the top level, subset and port-level blocks of the
//     DestinationRule for one host the way Istio does, fills in what Istio (not
//     Envoy) uses where a field is absent, and keeps for each value the file and
//     line that it comes from.
//  3. Policy is the result: plain Go values from which the lab configures Envoy.
package mesh
