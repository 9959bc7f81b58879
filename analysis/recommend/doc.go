// Package recommend turns models, objectives and the planned rate into what one
// sets: replicas, resources, autoscaler thresholds and connection-pool limits,
// each with its reason in words and the numbers in it.
//
// Nothing is recommended from a point estimate: the safe end of every interval
// decides. What cannot be estimated is not recommended, and a note says why.
package recommend
