// Package loadgen drives load and accounts for every arrival.
//
//	session, err := loadgen.Open(ctx, plan, options)
//	facts, err := session.Phase(ctx, phase, sink)
//	session.Close()
//
// A Session holds the connections, so that successive phases meet a warm
// system. Phase blocks until the phase's answers are in. The package owns every
// goroutine that it starts and waits for it.
package loadgen
