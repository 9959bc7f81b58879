// Package models owns the models of capacity: what a request costs in CPU and
// memory, at which rate an objective breaks, and which rate to measure next.
//
// Everything is a pure function of values. A model that the measurements cannot
// support is not estimable, and says why; it is never replaced by a guess.
package models
