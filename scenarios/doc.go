// Package scenarios owns the scenario file and what a run is told to do.
//
//  1. A Scenario is what a user wrote: decoded strictly (every error carries
//     file, line and column), completed with defaults, validated.
//  2. A Plan is what the load session needs, resolved from a Scenario and
//     self-contained: endpoint, connections, requests, seed.
//  3. A Phase is one stretch of load with one arrival process, and one rate or a
//     curve of rates.
//
// ReadDocuments, Problem and Errors are how every YAML file of a user is read and
// what is wrong with it is told, the mesh's objects included.
//
// The units that the whole project speaks live here as well: Rate, Bytes, CPU
// and Ratio. Nothing in this package reads a clock, a socket or a flag.
package scenarios
