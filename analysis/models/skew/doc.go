// Package skew owns how unevenly connections that do not move load the replicas
// behind a balancer that places connections and not requests.
//
// An HTTP/2 connection stays where it was opened and carries many requests. A
// balancer on layer 4 (a Service of Kubernetes, a cloud's network balancer)
// chooses a replica once a connection, so the replicas are loaded as unevenly as
// balls fall into bins: eight connections on four replicas leave the busiest with
// about 1.8 times the mean. All of it is told as the *factor* of the hottest
// replica: its load ÷ the mean load of the replicas, at least 1.
//
//   - Hottest is the factor for connections of equal load, exactly; Weighted for
//     connections of unequal load, by simulation.
//   - ScaleUp is how the factor falls after replicas were added: they take nothing
//     until connections end and are opened anew. AfterLoss is what a lost
//     replica's connections do to the others.
//   - Lifetime weighs how long connections should live: their handshakes cost CPU
//     time, their age costs the time until new replicas help.
//   - Measured is the factor that a run has shown, and EffectiveConnections how
//     many connections of equal load would scatter as much: with it, what was
//     measured at one number of replicas predicts another.
//
// What this is not about: the spread of requests over the upstreams of a proxy
// that balances requests. An Envoy chooses an upstream for each request (Istio's
// default is the less busy of two), learns of new replicas from its control plane
// and opens connections to them at once; its upstreams are as good as even, with
// the residue that least-request leaves, and skew does not apply to them. It does
// apply to clients of a gateway, to anything that speaks to a service without a
// proxy, to what a proxy reaches through one virtual address, and also to the
// worker threads inside one proxy, among which the kernel places connections as
// at random: Hottest(connections, workers, Random).
package skew
