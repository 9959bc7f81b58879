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
