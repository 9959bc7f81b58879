// Package scaling owns the models of throughput against concurrency or replicas:
// linear, Amdahl, the Universal Scalability Law, and a straight line with a kink.
//
//  1. Fit fits one of them to points by least squares, on log X unless told
//     otherwise, since the noise of load tests grows with the throughput.
//  2. Every interval, of a parameter, of a prediction, of the peak, and of the
//     inverse, is one of profile likelihood with Student's t: the model is
//     written so that the quantity is one of its parameters, and that parameter
//     is moved until the others can't make up for it any more. At a bound it
//     ends there.
//  3. Compare fits all of them and scores each by what it says of points that it
//     did not see. Beyond the data a band is the union over the models that the
//     data can't reject.
//
// Valid for a closed sweep of concurrency, or one of replicas, in a steady state,
// with one mix of requests and without autoscaling or a throttled generator, the
// sweep reaching beyond the bend. For rates that were set from outside take the
// concurrency X·R (Little) as abscissa.
package scaling
