// Package proxy owns the model of an event-driven proxy with a CPU quota, which
// tells from what a request and a wake-up cost at low load what it will do near
// its limit.
//
// A worker thread sleeps until a connection is readable, is woken, handles all
// that is ready by then, and sleeps again. Each request makes it readable twice:
// when it comes, and when its answer does. So at low load a request costs two
// wake-ups beside its own work, and the busier the thread, the more of them fall
// into the time in which it is awake, and cost nothing. Where the kernel gives a
// quota of CPU time in each period, a thread that has used it up stands still until
// the next one begins; what has come meanwhile waits, and is then handled in one go,
// which is cheaper.
//
// Three rates follow, and they are different ones: where a latency objective breaks
// (Edge), where CPU reaches the quota (Server.RateAt), and what is answered at most
// (Server.Saturation). The first comes from a simulation of events, the others from
// formulas.
package proxy
