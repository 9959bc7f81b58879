// Package lab owns the system under test that sailplan brings itself: a mesh of
// gateways, one sidecar per replica, and a test service, all on loopback.
//
//	generator ──h2──► gateway ──mTLS──► sidecar 0 ──h2c──► test service 0
//	                         └──mTLS──► sidecar 1 ──h2c──► test service 1  …
//
// Several gateways stand behind a balancer that places connections, as the layer-4
// balancers before a mesh do:
//
//	generator ──h2──► balancer ─► gateway 0, gateway 1 … (each to all sidecars)
//
// How a lab comes and goes:
//
//  1. Start turns a scenario's lab and the effective policy of its destination
//     into child processes (package process), from the service outwards, since
//     each proxy must know the ports behind it. It returns once every replica
//     has answered a real request through the whole chain.
//  2. The proxies are real Envoys, configured from go-control-plane's types as
//     Istio would configure them: the DestinationRule applies to the gateway's
//     outbound cluster, and its connection pool once more to each sidecar's
//     inbound cluster. Or they are the embedded stand-in: this program itself,
//     with the same topology, identities, statistics and limit on requests.
//  3. Lab tells where the load goes (Endpoint), what to sample (Members), and
//     when a component dies (Failed); how connections are placed on several
//     gateways, and which of them get more (Placed, UseGateways). Stop leaves nothing behind; what a killed
//     program leaves, the next Start removes.
//  4. Child is what the program does as one of those child processes.
//  5. FindEnvoy and InstallEnvoy get an Envoy.
//
// Everything listens on port 0 of 127.0.0.1 and tells what it got: Envoy through
// its admin address file and /listeners, the rest in the same way.
package lab
