// Package schedule owns when arrivals are due, and which request each one is.
//
//  1. A process says where the k-th arrival lies on an axis on which arrivals
//     come once a unit on average: at k (constant), or at the sum of k
//     exponential gaps (Poisson).
//  2. A curve turns that place into an instant: the inverse of the cumulative
//     rate. There is the straight one, a rate that does not change.
//  3. Arrivals walks through both, and gives one offset after another.
//  4. Mix draws the kind of request of each arrival, in proportion to weights.
//
// Everything is a pure function of a phase and its seed: no clock is read, so
// the same phase gives the same arrivals to the nanosecond.
package schedule
