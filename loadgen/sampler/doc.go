// Package sampler reads what the components of a system consume, while load is
// on them, and what the generator and its machine do meanwhile.
//
// A Target says where one replica's figures are: a process and a cgroup of this
// machine, an Envoy admin endpoint, or raw series in a Prometheus. Who started
// the processes is not its business. Each source gives rows of its own, and every
// row has the instant at which the source was read, so that two metrics of one
// replica need not share an instant:
//
//   - A process and its cgroup are read together, at whole intervals since the
//     base. CPU time comes from the process's CPU clock, which the kernel keeps to
//     the nanosecond and which includes threads that have ended. Where there is no
//     such clock the threads' schedstat is added up, or else the ticks of stat.
//   - Envoy is asked at the same instants; its row bears the middle between asking
//     and the answer. A proxy that is short of CPU answers late, which is why its
//     counters are not put into the process's row.
//   - Prometheus is asked for the samples as they were scraped (metric[1m], never
//     rate()), each with the timestamp of its scrape. A scrape's wall-clock time t
//     becomes t − base − skew: base is the wall-clock time of the run's anchor, and
//     skew how far Prometheus's clock is ahead, measured once by its own time(). A
//     skew within the error of that measurement counts as none.
//
// What a source does not have is absent, never 0. A source that stops answering
// is one event when it begins, and one when it answers again.
package sampler
