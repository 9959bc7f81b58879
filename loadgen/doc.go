// Package loadgen drives load and accounts for every arrival.
//
//		session, err := loadgen.Open(ctx, plan, loadgen.Options{})
//		facts, err := session.Phase(ctx, phase, sink)
//		err = session.Close()
//
//	 1. Open connects: all of the plan's connections are there, their TLS is done
//	    and the peers' settings are in, or it fails and says why.
//	 2. Phase sends one phase's arrivals and blocks until their answers are in.
//	    Sink is told once an interval what happened in it.
//	 3. Close says goodbye and waits for every goroutine.
//
// Each worker is one operating-system thread that owns its connections alone:
// it waits for their sockets and for the next arrival in one system call,
// writes the frames of all requests that have become due in one write per
// connection, and stamps what comes back as it is read. There is no lock, no
// channel and no goroutine per request or connection.
//
// Economical pacing sleeps in the kernel until the next arrival. Up to 5 000/s for
// one thread each arrival leaves by itself; above that they gather for a slack of
// less than a millisecond and leave in few writes, as the facts tell. Precise pacing
// spins instead, and each leaves when it is due.
//
// An answer ends when its last bytes are read, but for a slack of 200 µs and more:
// then a worker doesn't wake up between two batches, and an answer ends when the
// kernel received the last segment of all that one read takes from its connection.
// That never flatters: such an end can be late, by less than the time between two
// batches, and is never early.
//
// A connection that comes to the end of its requests or its age has a successor
// opened before it takes no more, and closes when its last answer is in. With
// several targets the connections are shared out by weight. A renewed credential
// is handed to the workers between two system calls.
//
// The loop is open: an arrival never waits for answers to others, only for a
// free stream, and keeps its intended instant while it waits. Every arrival ends
// in exactly one of the counts of record.Counts:
//
//   - An arrival that finds the backlog full is shed, and so is one that has
//     waited for a stream until its timeout was over. Those that still wait
//     when the time to send is over go on waiting, up to their timeouts.
//   - A request that is sent is answered, failed, or timed out. The timeout
//     counts from the intended instant; the stream is reset.
//   - A request that a GOAWAY or REFUSED_STREAM says was not processed is sent
//     again: it stays in flight, keeps the instants of its first sending, and
//     is counted in Connections.Retried. It takes the next row of a feed, since
//     rows are not kept while answers are awaited: with a feed that is taken once
//     the row of the first sending counts as used. With guards.maxRate it waits until that
//     allows it.
//
// guards.maxErrorRatio is watched over a sliding window: the shortest stretch
// before now that is at least one second long and holds at least fifty finished
// requests. Shed arrivals never reached the target and don't count for it.
// guards.maxRate refuses a phase before it starts.
//
// When ctx ends, or a guard stops the load, nothing more is sent; what waited is
// shed, answers are awaited for two seconds more, and what is then still in
// flight stays so in the counts.
//
// Facts come out, never verdicts. The package needs Linux; elsewhere Open
// returns dial.ErrPlatform.
package loadgen
