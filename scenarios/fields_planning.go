package scenarios

func planningFields() map[string]field {
	return map[string]field{
		"Sizing.perClass":      {text: "Measure what each request of the mix costs: some more phases at low rates, in each of which one of the requests is most of the mix. While the mix stays the same only its sum shows. Needs at least two requests."},
		"Sizing.quotaPrice":    {text: "Measure what the CPU quotas of a lab cost: a rate just below the edge with them and without them, in turns, and the CPU of a request and p99 in both."},
		"Sizing.perConnection": {text: "Measure what a connection takes of a gateway's memory, and so at how many it would run out: phases at a tenth of the edge with up to 480 connections beside those of the load, which do nothing. A lab is measured so anyway, but for --quick."},

		"Demand.peakRate":        {text: "Highest rate today.", above: "0/s", examples: []string{"12000/s"}},
		"Demand.meanRate":        {text: "Mean rate over a day, for costs; they are those at the peak without.", above: "0/s", examples: []string{"5000/s"}},
		"Demand.headroom":        {text: "Reserve on top of the peak.", least: "0", most: "10", initial: "20%"},
		"Demand.growthPerMonth":  {text: "Growth of the peak from month to month.", least: "0", most: "10", examples: []string{"5%"}},
		"Demand.horizonMonths":   {text: "How many months of growth to plan for; when the key is left out 12 with growthPerMonth, and 3 with history.", least: "0", most: "120"},
		"Demand.history":         {text: "Rates of the past, which growth is read from in place of growthPerMonth: trend and weekly season, and the dates when limits are reached. Two weeks at the least; the horizon should be no longer than the history."},
		"Demand.zones":           {text: "Failure zones that the replicas spread over; one of them may be lost. 1 means that none can be lost.", least: "1", most: "100", initial: "3"},
		"Demand.zoneSkew":        {text: "By how many replicas zones may differ: maxSkew of the topology spread constraint. The fullest zone is the one that counts as lost.", least: "1", most: "100", initial: "1"},
		"Demand.clusters":        {text: "Clusters that share the peak; one of them may be lost, and the others take over what it carried. Everything is recommended for one cluster, the busiest.", least: "1", most: "100", initial: "1"},
		"Demand.clusterShare":    {text: "Share of the peak that the busiest cluster takes; all take the same when left out.", above: "0", below: "1", examples: []string{"40%"}},
		"Demand.rollingUpdate":   {text: "How replicas are replaced; the planned rate is carried meanwhile."},
		"Demand.connections":     {text: "Connections of clients to all gateways at the peak. They stay where they were opened, so few of them load the replicas unevenly; as good as even when left out.", least: "0", most: "100000000", examples: []string{"400"}},
		"Demand.placement":       {text: "How a connection comes to a gateway: random (a Service of Kubernetes, a hash), roundRobin, or leastConnection.", enum: []string{string(PlacementRandom), string(PlacementRoundRobin), string(PlacementLeast)}, initial: string(PlacementRandom)},
		"Demand.proxies":         {text: "Proxies that the control plane serves; those that are recommended when left out.", least: "0", most: "10000000", examples: []string{"2000"}},
		"Demand.reconnectWithin": {text: "When a replica of the control plane is lost, its proxies are served again within this time.", above: "0s", most: "1h", initial: "1m"},
		"Demand.scaling":         {text: "What the settings of an autoscaler are tried with, in a simulation of its loop."},
		"Demand.today":           {text: "What runs now, to compare with. A target's observe.components are taken when left out."},

		"DemandHistory.query": {text: "PromQL whose only series is the rate per second, asked of observe.prometheus. The highest of each hour says more than single instants.", examples: []string{`max_over_time(sum(rate(istio_requests_total{reporter="destination"}[5m]))[1h:5m])`}},
		"DemandHistory.last":  {text: "How far back the query looks; twelve weeks when left out. Prometheus answers with what it has kept.", least: "24h", most: "26280h", examples: []string{"2016h"}},
		"DemandHistory.file":  {text: "CSV file of two columns, the instant (RFC 3339, a date, or seconds since 1970) and the rate per second, with or without a header; relative to the scenario file.", examples: []string{"rates.csv"}},

		"RollingUpdate.maxUnavailable": {text: "How many replicas may be missing during an update, as a number or a share (rounded down), as in a Deployment.", initial: "25%", examples: []string{"0", "25%"}},
		"RollingUpdate.maxSurge":       {text: "How many there may be more during an update, as a number or a share (rounded up), as in a Deployment.", initial: "25%", examples: []string{"1", "25%"}},

		"Scaling.load":          {text: "Load over a day or a week, as it is today; straight lines between the points, and its highest rate stands for the peak. When left out: an hour at the trough, up to the planned rate within 15 minutes, two hours there, and down again."},
		"Scaling.trough":        {text: "Lowest rate today, for the load that is taken when none is given; a third of the peak when left out.", above: "0/s", examples: []string{"4000/s"}},
		"Scaling.startUp":       {text: "Time from the autoscaler's decision until a new replica is ready, with finding a node and fetching the image.", above: "0s", most: "1h", initial: "1m"},
		"Scaling.metricsEvery":  {text: "How often metrics-server looks at the nodes: its flag --metric-resolution.", least: "10s", most: "10m", initial: "15s"},
		"Scaling.syncEvery":     {text: "How often the autoscaler looks: --horizontal-pod-autoscaler-sync-period of the controller manager.", least: "5s", most: "10m", initial: "15s"},
		"Scaling.overAllowed":   {text: "Share of the time that the hottest replica may carry more than it does safely; none when left out.", least: "0", most: "1", examples: []string{"0.1%"}},
		"Scaling.highestTarget": {text: "Highest CPU utilisation that is recommended as a target, as a share of the request. More than 75% leaves little time to start replicas.", above: "0", most: "1", initial: "75%"},

		"RateAt.at":   {text: "Time since the first point.", least: "0s", examples: []string{"9h"}},
		"RateAt.rate": {text: "Rate at that time.", least: "0/s", examples: []string{"12000/s"}},

		"Declared.name":     {text: "Name of the component: gateway, sidecar or service in a lab, a name of observe.components for a target.", required: true, examples: []string{"gateway"}},
		"Declared.replicas": {text: "How many replicas run, in one cluster.", least: "1", most: "100000"},
		"Declared.requests": {text: "Kubernetes resource requests of one replica."},
		"Declared.limits":   {text: "Kubernetes resource limits of one replica."},

		"Margins.latencyP50":    {text: "Margin of the median latency, as a share of the base's.", least: "0", most: "10", initial: "5%"},
		"Margins.latencyP90":    {text: "Margin of the latency at p90, as a share of the base's.", least: "0", most: "10", initial: "5%"},
		"Margins.latencyP99":    {text: "Margin of the latency at p99, and of how many times the median it is, as a share of the base's.", least: "0", most: "10", initial: "10%"},
		"Margins.errorRatio":    {text: "Margin of the share of requests that fail, as a share of all requests.", least: "0", most: "1", initial: "0.1%"},
		"Margins.highestRate":   {text: "Margin of the highest rate at which the objectives hold, of `run --find-max` and `size`.", least: "0", most: "10", initial: "5%"},
		"Margins.cpuPerRequest": {text: "Margin of the CPU time of a request in each component, as a share of the base's.", least: "0", most: "10", initial: "5%"},
		"Margins.memory":        {text: "Margin of the memory of each component, as a share of the base's.", least: "0", most: "10", initial: "10%"},
		"Margins.handshakes":    {text: "Margin of the number of TLS handshakes, as a share of the base's.", least: "0", most: "10", initial: "10%"},

		"Prices.cpuHour":  {text: "Price of a core for an hour.", least: "0", most: "1000000", examples: []string{"0.0316"}},
		"Prices.gibHour":  {text: "Price of a GiB of memory for an hour.", least: "0", most: "1000000", examples: []string{"0.0042"}},
		"Prices.currency": {text: "Name of the currency in reports.", pattern: `^[A-Za-z€$£¥]{1,8}$`, examples: []string{"USD"}},
	}
}
