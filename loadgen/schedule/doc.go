// Package schedule owns when arrivals are due, and which request each one is.
//
//  1. A process says where the k-th arrival lies on an axis on which arrivals
//     come once a unit on average: at k (constant), or at the sum of k
//     exponential gaps (Poisson).
//  2. A curve turns that place into an instant: the inverse of the cumulative
//     rate. A rate that does not change is inverted in exact integers; one that
//     changes piece by piece in straight lines, with jumps and stretches of
//     nothing, is a quadratic a piece. A Poisson process stays one under it, with
//     the changing rate (time rescaling).
//  3. Arrivals walks through both, and gives one offset after another.
//  4. Mix draws the kind of request of each arrival, in proportion to weights.
//
// Everything is a pure function of a phase and its seed: no clock is read, so
// the same phase gives the same arrivals to the nanosecond.
package schedule
