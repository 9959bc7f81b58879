// Package compare says of two sets of runs, metric by metric, whether the new ones
// are worse, better, as good, or whether that is not known yet; and of a series of
// runs where it changed.
//
// The unit of replication is the run. Seconds of one run share what the run brought
// along, and a test over them takes chance between runs for a change. So every
// interval here is one over runs, or, where there is but one run a side, one that has
// room for what runs differ by.
package compare
