// Package breaker owns what is to be known of a circuit breaker without running
// one: which trials a policy calls for, what each must show, and what to make of
// what it showed.
//
//  1. Settings lists the effective policy, value by value, with where each comes
//     from.
//  2. Plan turns a policy, the number of endpoints and the worker threads of a
//     client into trials: on which bench, which load and which faults, and what is
//     expected.
//  3. Trial.Judge turns the facts of a trial into a verdict. Limits are shared by
//     worker threads, so what was in flight is held against them with a tolerance.
//  4. Conclude brings verdicts, judgements and the findings of an audit together.
//
// A trial keeps one setting of the policy and leaves the others at Istio's
// defaults, unless it says otherwise, so that what trips is what is on trial.
package breaker
