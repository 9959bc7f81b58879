// Package queue owns what waiting costs: requests that arrive at random at
// servers of which there are so many.
//
//  1. Formulas (erlang.go, mmc.go, general.go): exact where arrivals are Poisson
//     and service times are exponential or there is one server; otherwise an
//     estimate whose interval is the error of the approximation.
//  2. Closed networks (closed.go): a fixed number of clients that think, wait and
//     are served, by exact mean value analysis, with bounds.
//  3. Simulation (simulate.go, times.go): any service times, such as measured
//     ones, any gaps between arrivals, one queue or several. The way to a p99.
//  4. Fit (fit.go): the service time, and if need be the number of servers, from
//     measured rates and response times.
//
// All of it holds for a steady state: no retries, no timeouts, service times that
// do not depend on each other, no resource that is shared unseen. Times are in
// seconds, rates per second. What has no steady state is ErrInfeasible.
package queue
