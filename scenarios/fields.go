package scenarios

import "sort"

// field is what the schema, the checks and the example say about one key beyond
// its type. Bounds and defaults are spelled as in the file.
type field struct {
	text     string // one or two sentences, with the unit
	required bool
	enum     []string
	least    string // smallest allowed value
	above    string // largest value that is too small
	most     string // largest allowed value
	below    string // smallest value that is too large
	pattern  string
	initial  string // default; empty: none
	examples []string
}

// Patterns of names. A request's and a component's name becomes part of tags in
// a run's files, a scenario's name that of Kubernetes objects.
const (
	scenarioNamePattern = `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`
	namePattern         = `^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`
	methodPattern       = `^[A-Z][A-Z0-9_-]{0,31}$`
	pathPattern         = `^/[!-"$-~]*$`
	httpURLPattern      = `^https?://[^/?#@\s]+(/[^?#\s]*)?$`
	// A metric name, matchers, or both; raw samples have instants of their own, and
	// functions and sums have not.
	selectorPattern = `^\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(\{([^"{}]|"([^"\\]|\\.)*")*\})?\s*$`
	// A trust domain and a path (SPIFFE ID, sections 2.1 and 2.2).
	servicePattern = `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.svc(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$`
	spiffePattern  = `^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)*$`
	addressPattern = `^(\[[0-9A-Fa-f:.%A-Za-z]+\]|[^:/\[\]\s]+):[0-9]{1,5}$`
)

// fields describes every key of the scenario file, by "Type.key".
func fields() map[string]field {
	all := make(map[string]field)
	for _, part := range []map[string]field{topFields(), systemFields(), loadFields(), requestFields(), shapeFields(), observeFields(), planningFields()} {
		for name, f := range part {
			all[name] = f
		}
	}
	return all
}

func topFields() map[string]field {
	return map[string]field{
		"Scenario.apiVersion":  {text: "Version of this format.", required: true, enum: []string{APIVersion}},
		"Scenario.kind":        {text: "Kind of this file.", required: true, enum: []string{Kind}},
		"Scenario.metadata":    {text: "What the scenario is called.", required: true},
		"Scenario.target":      {text: "A system that runs already. Exactly one of target and lab is given."},
		"Scenario.lab":         {text: "The lab: a gateway, sidecars and a test service that sailplan starts on this machine. Exactly one of target and lab is given."},
		"Scenario.connections": {text: "How the load generator connects."},
		"Scenario.requests":    {text: "The mix of requests; one GET / when the key is left out."},
		"Scenario.load":        {text: "What `run` sends. `size` takes arrivals, pacing and timeout from here and chooses rates and durations itself."},
		"Scenario.objectives":  {text: "Conditions on the service that a capacity must hold; p99 ≤ 50ms and at most 0.1% errors when the key is left out."},
		"Scenario.guards":      {text: "What ends a run before it does harm."},
		"Scenario.observe":     {text: "Where resource metrics come from."},
		"Scenario.sizing":      {text: "What `size` measures beyond what every sizing needs."},
		"Scenario.demand":      {text: "What the system has to carry; replicas are recommended for it."},
		"Scenario.prices":      {text: "What resources cost; with it reports say what a million requests cost."},
		"Scenario.margins":     {text: "Up to which change a metric counts as unchanged, for compare and ab."},
		"Scenario.auth":        {text: "The credential that every request carries. It is never recorded; what is written here is, so keep secrets in files."},
		"Scenario.feed":        {text: "A file of values, one row a request, that ${name} in the path, a header, the body or the gRPC message of a request stands for. $${ stands for the characters ${."},
		"Scenario.seed":        {text: "Every random choice of a run follows from this number.", initial: "1"},

		"Metadata.name": {text: "Name of the scenario: lower-case letters, digits and dashes, as in names of Kubernetes objects.", required: true, pattern: scenarioNamePattern, examples: []string{"checkout"}},

		"Objective.quantile":   {text: "Quantile of the latency, above 0 and below 1; together with latency.", above: "0", below: "1", examples: []string{"0.99"}},
		"Objective.latency":    {text: "Longest latency at the quantile, from the intended instant of a request to the end of its answer.", above: "0s", most: "1h", examples: []string{"50ms"}},
		"Objective.errorRatio": {text: "Highest tolerated share of requests that are not answered well.", least: "0", below: "1", examples: []string{"0.1%", "0.001"}},

		"Guards.maxRate":        {text: "The load never goes above this rate. Required for a target that is not on loopback.", above: "0/s", examples: []string{"20000/s"}},
		"Guards.maxErrorRatio":  {text: "The load ends when more than this share of requests fails.", above: "0", most: "1", initial: "20%"},
		"Guards.allowMutations": {text: "Allow methods other than GET, HEAD and OPTIONS against a target that is not on loopback."},
		"Guards.abortWhen":      {text: "PromQL conditions that end the load; they need observe.prometheus."},

		"Condition.name":  {text: "Name of the condition in reports.", required: true},
		"Condition.query": {text: "PromQL expression; the load ends as soon as it returns a sample that is not zero.", required: true, examples: []string{`sum(rate(istio_requests_total{response_code="503"}[1m])) > 10`}},
	}
}

func systemFields() map[string]field {
	return map[string]field{
		"Target.url":       {text: "Scheme, host, optional port and path prefix. No user, query or fragment.", required: true, pattern: httpURLPattern, examples: []string{"https://shop.example.com"}},
		"Target.connectTo": {text: "host:port that is dialled instead of the URL's.", pattern: addressPattern, examples: []string{"10.1.2.3:443"}},
		"Target.protocol":  {text: "What is spoken: h2 (HTTP/2 over TLS, for https), h2c (HTTP/2 in cleartext, for http), http/1.1 or grpc (each for https and http). h2 or h2c follows from the URL when left out.", enum: []string{string(ProtocolH2), string(ProtocolH2C), string(ProtocolHTTP1), string(ProtocolGRPC)}},
		"Target.service":   {text: "Full name of the mesh's service behind the URL: the host of the DestinationRule that is written, and the destination_service of the alerts. Without it the files for the mesh have a placeholder to fill in.", pattern: servicePattern, examples: []string{"shop.checkout.svc.cluster.local"}},
		"Target.also":      {text: "More targets that share the connections, with the protocol, scheme, path prefix and TLS settings of this one."},

		"OtherTarget.url":       {text: "Scheme and host, with an optional port; the scheme and the path prefix are those of target.url.", required: true, pattern: httpURLPattern, examples: []string{"https://shop-2.example.com"}},
		"OtherTarget.connectTo": {text: "Address (host:port) that is dialled instead of the URL's.", pattern: addressPattern},
		"OtherTarget.weight":    {text: "Share of the connections, against 1 of the target itself.", above: "0", most: "1000000", initial: "1"},
		"Target.tls":            {text: "How TLS is opened; for https only."},

		"TLS.caFile":       {text: "PEM file with the authorities to trust instead of the system's; relative to the scenario file."},
		"TLS.certFile":     {text: "PEM file with the client's certificate; together with keyFile. Relative to the scenario file."},
		"TLS.keyFile":      {text: "PEM file with the client's key; together with certFile. Relative to the scenario file."},
		"TLS.serverName":   {text: "Name to ask for and to check instead of the URL's host."},
		"TLS.insecure":     {text: "Accept any certificate. Never the default."},
		"TLS.minVersion":   {text: "Lowest version of TLS; 1.2 when left out.", enum: []string{"1.2", "1.3"}},
		"TLS.maxVersion":   {text: "Highest version of TLS; the highest known when left out.", enum: []string{"1.2", "1.3"}},
		"TLS.cipherSuites": {text: "Cipher suites of TLS 1.2 to offer, by their IANA names; those of TLS 1.3 can't be chosen.", pattern: `^TLS_[A-Z0-9_]+$`, examples: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}},
		"TLS.curves":       {text: "Key exchanges to offer, in the order of preference.", enum: curveNames()},
		"TLS.resume":       {text: "Resume sessions on further connections; otherwise each makes a full handshake."},
		"TLS.spiffeID":     {text: "SPIFFE ID that the server's certificate has to carry as a URI; its DNS names don't matter then.", pattern: spiffePattern, examples: []string{"spiffe://cluster.local/ns/shop/sa/frontend"}},

		"Lab.proxy":   {text: "Which proxy the lab runs: envoy, the embedded stand-in, or auto (Envoy when there is one).", enum: []string{ProxyAuto, ProxyEnvoy, ProxyEmbedded}, initial: ProxyAuto},
		"Lab.gateway": {text: "The gateway, which the load goes to."},
		"Lab.sidecar": {text: "The sidecar in front of each replica of the service."},
		"Lab.service": {text: "The test service."},
		"Lab.policy":  {text: "Files with DestinationRules, relative to the scenario file. Without any, a usual production one is built in.", examples: []string{"destination-rule.yaml"}},

		"LabProxy.concurrency": {text: "Worker threads.", least: "1", most: "1024", initial: "1"},
		"LabProxy.tls":         {text: "Serve TLS to the load generator; for the gateway only."},
		"LabProxy.limits":      {text: "What the proxy may use; nothing means no limit."},
		"LabProxy.replicas":    {text: "How many gateways, each with these limits; 1 when left out. More than one stand behind a balancer that places connections, not requests. Each sidecar goes with a replica of the service, so this key is for the gateway only.", least: "1", most: "32"},
		"LabProxy.placement":   {text: "Which gateway a new connection goes to: roundRobin (one after the other, so that the load per gateway is about the same; the default) or random (as a Service of Kubernetes places them, to see skew). For several gateways only.", enum: []string{string(PlacementRoundRobin), string(PlacementRandom)}},

		"Limits.cpu":    {text: "CPU as a Kubernetes quantity in cores.", least: "0", examples: []string{"500m", "2"}},
		"Limits.memory": {text: "Memory as a Kubernetes quantity in bytes.", least: "0", examples: []string{"512Mi"}},

		"LabService.replicas":      {text: "How many replicas; each has a sidecar of its own.", least: "1", most: "100", initial: "2"},
		"LabService.latency":       {text: "How long the service takes: a lognormal distribution by two of its quantiles. It answers at once without."},
		"LabService.responseBytes": {text: "Size of an answer's body.", least: "0", most: "64Mi", initial: "1Ki"},
		"LabService.limits":        {text: "What a replica may use; nothing means no limit."},

		"LatencyShape.median": {text: "Half of the answers take no longer.", least: "0s", most: "1m", examples: []string{"5ms"}},
		"LatencyShape.p99":    {text: "99 of 100 answers take no longer; at least the median.", least: "0s", most: "1m", examples: []string{"20ms"}},
	}
}

func observeFields() map[string]field {
	return map[string]field{
		"Observe.interval":   {text: "Time between two samples.", least: "100ms", most: "10m", initial: "1s"},
		"Observe.prometheus": {text: "Base URL of Prometheus.", pattern: httpURLPattern, examples: []string{"http://prometheus.istio-system:9090"}},
		"Observe.components": {text: "The parts of the target to observe. The lab observes its own."},

		"ObservedComponent.name":        {text: "Name in all results. Unique.", required: true, pattern: namePattern, examples: []string{"ingress-gateway"}},
		"ObservedComponent.role":        {text: "What the component is to the mesh.", required: true, enum: []string{string(RoleGateway), string(RoleEgress), string(RoleSidecar), string(RoleService), string(RoleControlPlane)}},
		"ObservedComponent.replicas":    {text: "How many replicas run.", least: "1", most: "100000", initial: "1"},
		"ObservedComponent.concurrency": {text: "Worker threads of a proxy; left out when not known.", least: "0", most: "1024"},
		"ObservedComponent.limits":      {text: "Limits of one replica."},
		"ObservedComponent.requests":    {text: "Kubernetes resource requests of one replica."},
		"ObservedComponent.pid":         {text: "Process id, for a component on this machine.", least: "0", most: "4194304"},
		"ObservedComponent.admin":       {text: "URL of an Envoy admin endpoint.", pattern: httpURLPattern, examples: []string{"http://127.0.0.1:15000"}},
		"ObservedComponent.prometheus":  {text: "Queries that select the component's raw series: counters and gauges as scraped, never rate(). One series is one replica."},

		"PrometheusQueries.cpuSeconds":       {text: "Counter of CPU seconds: a plain selector, no function or sum.", pattern: selectorPattern, examples: []string{`container_cpu_usage_seconds_total{namespace="istio-system",pod=~"istio-ingressgateway-.*",container="istio-proxy"}`}},
		"PrometheusQueries.periods":          {text: "Counter of CFS periods: a plain selector, no function or sum.", pattern: selectorPattern},
		"PrometheusQueries.throttledPeriods": {text: "Counter of throttled CFS periods: a plain selector, no function or sum.", pattern: selectorPattern},
		"PrometheusQueries.workingSetBytes":  {text: "Gauge of the working set: a plain selector, no function or sum.", pattern: selectorPattern},
		"PrometheusQueries.rssBytes":         {text: "Gauge of the resident set: a plain selector, no function or sum.", pattern: selectorPattern},
		"PrometheusQueries.connections":      {text: "Gauge of downstream connections: a plain selector, no function or sum.", pattern: selectorPattern},
		"PrometheusQueries.inFlight":         {text: "Gauge of requests in flight: a plain selector, no function or sum.", pattern: selectorPattern},
		"PrometheusQueries.requests":         {text: "Counter of requests: a plain selector, no function or sum.", pattern: selectorPattern},
		"PrometheusQueries.latencyBuckets":   {text: "Buckets (with the label le) of a histogram of request durations, for size --from-prometheus: a plain selector. Milliseconds where the name says so or is Envoy's, seconds otherwise.", pattern: selectorPattern, examples: []string{`istio_request_duration_milliseconds_bucket{reporter="destination",destination_workload="checkout"}`}},
		"PrometheusQueries.classes":          {text: "Counter of requests with series for each kind of request, for size --from-prometheus: a plain selector, of any number of series a replica. What each kind costs is told as far as their shares changed.", pattern: selectorPattern, examples: []string{`istio_requests_total{reporter="source",source_workload="istio-ingressgateway"}`}},
		"PrometheusQueries.classLabel":       {text: "Label of classes that tells the kinds apart. Left out: the first of request_operation, destination_service_name, destination_service, envoy_cluster_name and response_code that has two values or more.", examples: []string{"request_operation"}},
		"PrometheusQueries.requestBytes":     {text: "Counter of bytes of requests, for size --from-prometheus: a plain selector, of any number of series a replica.", pattern: selectorPattern, examples: []string{`istio_request_bytes_sum{reporter="source",source_workload="istio-ingressgateway"}`}},
		"PrometheusQueries.answerBytes":      {text: "Counter of bytes of answers, likewise.", pattern: selectorPattern, examples: []string{`istio_response_bytes_sum{reporter="source",source_workload="istio-ingressgateway"}`}},
		"PrometheusQueries.replicaLabel":     {text: "Label that tells the replicas apart.", initial: "pod"},
	}
}

// keysElsewhere returns for each key of the file format the places that it
// belongs to, as in "load.rate" or "requests[].name".
func keysElsewhere() map[string][]string {
	places := make(map[string][]string)
	eachKey("", scenarioType(), func(path, key string) {
		places[key] = append(places[key], path)
	})
	for _, paths := range places {
		sort.Strings(paths)
	}
	return places
}
