package scenarios

func loadFields() map[string]field {
	return map[string]field{
		"Connections.count":                {text: "How many connections.", least: "1", most: "100000", initial: "8"},
		"Connections.streamsPerConnection": {text: "How many requests may be in flight on one connection; the server may allow fewer. HTTP/1.1 has one.", least: "1", most: "1000000", initial: "100"},
		"Connections.connectTimeout":       {text: "How long opening a connection, its TLS handshake included, may take.", above: "0s", most: "10m", initial: "5s"},
		"Connections.maxRequests":          {text: "Requests after which a connection is replaced; 0 never.", least: "0", most: "1000000000"},
		"Connections.maxAge":               {text: "Age at which a connection is replaced; 0s never.", least: "0s", most: "720h", examples: []string{"5m"}},
		"Connections.openRate":             {text: "At most so many connections are opened in that time; as fast as they go when left out.", above: "0/s", examples: []string{"100/s"}},
		"Connections.lookUpEvery":          {text: "How long the addresses that a name was looked up to are used for new connections; for one connection when 0s or left out.", least: "0s", most: "24h", examples: []string{"30s"}},

		"Load.rate":       {text: "Arrivals per second (/s), minute (/m) or hour (/h), over all connections together. Not for closed arrivals.", above: "0/s", examples: []string{"5000/s", "2.5k/s", "90/m"}},
		"Load.duration":   {text: "How long the load lasts. A soak is a plain rate with a long duration. With steps it is the sum of theirs when left out, with a replay the length of what is replayed.", above: "0s", most: "720h", initial: "60s"},
		"Load.arrivals":   {text: "Arrival process: poisson and constant send at instants that do not wait for answers; closed sends the next request when an answer comes, for the highest throughput only.", enum: []string{string(Poisson), string(Constant), string(Closed)}, initial: string(Poisson)},
		"Load.pacing":     {text: "How the generator waits: economical sleeps, precise spins for the last stretch and costs a core.", enum: []string{string(Economical), string(Precise)}, initial: string(Economical)},
		"Load.warmUp":     {text: "For `run`: load before what counts, at the same rate; with a shape at the rate that it starts with, or at its mean when it starts from nothing.", least: "0s", most: "24h", examples: []string{"10s"}},
		"Load.timeout":    {text: "Longest wait for an answer, from the intended instant of the request.", above: "0s", most: "1h", initial: "10s"},
		"Load.shape":      {text: "For `run`: how the rate changes over the duration; it does not when left out. Exactly one shape."},
		"Load.traceShare": {text: "Share of requests that carry a W3C traceparent header which asks for a trace.", least: "0", most: "1", examples: []string{"1%"}},
	}
}

func requestFields() map[string]field {
	return map[string]field{
		"Request.name":          {text: "Name in all results: letters, digits, dot, dash, underscore. Unique.", pattern: namePattern, examples: []string{"browse"}},
		"Request.weight":        {text: "Share of the mix, in proportion to the other weights.", above: "0", most: "1000000", initial: "1"},
		"Request.method":        {text: "HTTP method in capitals. POST for a gRPC call.", pattern: methodPattern, initial: "GET"},
		"Request.path":          {text: "Path and query, percent-encoded, after the URL's path prefix. A value of the feed is percent-encoded. Required but for a gRPC call.", pattern: pathPattern, examples: []string{"/products", "/search?q=sail", "/users/${id}"}},
		"Request.headers":       {text: "Headers by name."},
		"Request.body":          {text: "Body, sent as it is written. In a JSON body (by its content-type, or by its first character when it has none) a value of the feed is escaped inside quotes, and has to be JSON itself outside of them."},
		"Request.bodyFile":      {text: "File with the body instead of it, at most 64 MiB; relative to the scenario file. With a feed, ${name} in it is replaced as in a body.", examples: []string{"order.json"}},
		"Request.timeout":       {text: "Longest wait for an answer instead of load.timeout.", above: "0s", most: "1h", examples: []string{"2s"}},
		"Request.check":         {text: "What an answer has to show to be good; without it the status alone decides."},
		"Request.secret":        {text: "Keep the body, or the message of a gRPC call, out of the record: its size and SHA-256 stand there instead. That is so for every body of more than 256 bytes."},
		"Request.secretHeaders": {text: "Names of headers whose values are kept out of the record, beside those that carry credentials by their name (authorization, cookie, x-api-key and the like).", examples: []string{"x-tenant"}},
		"Request.grpc":          {text: "Makes the request a gRPC call; with target.protocol grpc."},

		"Check.status": {text: "Good statuses: numbers, ranges and classes, with commas between.", pattern: statusPattern, examples: []string{"2xx", "200-204,301"}},
		"Check.header": {text: "At most one: the name of a header, and what its value contains."},
		"Check.body":   {text: "Text that appears in the body."},

		"Call.method":        {text: "Method as package.Service/Method.", required: true, pattern: `^[A-Za-z_][A-Za-z0-9_.]*/[A-Za-z_][A-Za-z0-9_]*$`, examples: []string{"shop.v1.Catalog/List"}},
		"Call.message":       {text: "Message in JSON, as protobuf maps it; an empty one when left out.", examples: []string{`{"pageSize": 20}`}},
		"Call.descriptorSet": {text: "File made by `protoc --include_imports --descriptor_set_out`, relative to the scenario file; the server is asked by reflection when left out.", examples: []string{"shop.pb"}},

		"Auth.tokenFile":               {text: "File with the token; read again when it changes. Relative to the scenario file.", examples: []string{"/var/run/secrets/tokens/sailplan"}},
		"Auth.exec":                    {text: "Command and its arguments; it prints the token or a Kubernetes ExecCredential, and is run again before that expires. The arguments are recorded: keep secrets out of them."},
		"Auth.oauth2ClientCredentials": {text: "Client credentials of OAuth 2.0 (RFC 6749, section 4.4); a token is fetched before the last one expires."},
		"Auth.header":                  {text: "Header that carries the credential.", initial: "authorization"},
		"Auth.scheme":                  {text: "Word in front of the token; none for the bare token.", pattern: `^[!#$%&'*+.^_|~0-9A-Za-z-]+$`, initial: "Bearer"},

		"OAuth2.tokenURL":         {text: "Where tokens are fetched: https, or http on loopback.", required: true, pattern: tokenURLPattern, examples: []string{"https://login.example.com/oauth2/token"}},
		"OAuth2.clientID":         {text: "Name of the client.", required: true},
		"OAuth2.clientSecretFile": {text: "File with the client's secret; relative to the scenario file.", required: true, examples: []string{"client-secret"}},
		"OAuth2.scopes":           {text: "Scopes to ask for.", pattern: `^[!#-\[\]-~]+$`},
		"OAuth2.audience":         {text: "Audience to ask for, where the server wants one."},

		"Feed.file":  {text: "CSV file (.csv) with a header line, or JSON Lines file (.jsonl) with one object a line; relative to the scenario file. It is streamed, so its size does not matter.", required: true, pattern: `\.(csv|jsonl)$`, examples: []string{"users.csv"}},
		"Feed.order": {text: "in-turn starts again at the end; with once the load ends with the rows.", enum: []string{string(FeedInTurn), string(FeedOnce)}, initial: string(FeedInTurn)},
	}
}

func shapeFields() map[string]field {
	return map[string]field{
		"Shape.ramp":   {text: "From one rate to another in a straight line. Without load.rate."},
		"Shape.steps":  {text: "Rates one after another; the last one lasts until load.duration is over. Without load.rate."},
		"Shape.spike":  {text: "load.rate with one stretch of another rate."},
		"Shape.sine":   {text: "A swing around load.rate, which it starts from upwards."},
		"Shape.replay": {text: "A curve that was recorded. Without load.rate."},

		"RampShape.from": {text: "Rate at the start; from nothing when left out.", examples: []string{"100/s"}},
		"RampShape.to":   {text: "Rate at the end; to nothing when left out.", examples: []string{"5000/s"}},

		"StepShape.rate": {text: "Rate of the step; nothing is sent when left out.", examples: []string{"1000/s"}},
		"StepShape.for":  {text: "How long it lasts.", required: true, above: "0s", most: "720h", examples: []string{"1m"}},

		"SpikeShape.rate": {text: "Rate of the spike.", required: true, above: "0/s", examples: []string{"10000/s"}},
		"SpikeShape.at":   {text: "When it begins, from the start of the load.", least: "0s", most: "720h", examples: []string{"30s"}},
		"SpikeShape.for":  {text: "How long it lasts; it ends within load.duration.", required: true, above: "0s", most: "720h", examples: []string{"5s"}},

		"SineShape.amplitude": {text: "How far the rate swings above and below load.rate, at most load.rate.", required: true, above: "0/s", examples: []string{"500/s"}},
		"SineShape.period":    {text: "Time of one swing; load.duration has at most 1000 of them.", required: true, above: "0s", most: "720h", examples: []string{"10m"}},

		"Replay.file":  {text: "CSV file with a header line and two columns, the seconds (or an RFC 3339 time) and the rate per second; relative to the scenario file. Straight lines between its rows, a jump between two of the same time.", pattern: `\.csv$`, examples: []string{"last-friday.csv"}},
		"Replay.query": {text: "PromQL query for a rate per second, asked of observe.prometheus; it has to return one series.", examples: []string{`sum(rate(istio_requests_total{destination_service_name="shop"}[1m]))`}},
		"Replay.last":  {text: "How far back the query looks.", above: "0s", most: "720h", examples: []string{"24h"}},
		"Replay.scale": {text: "Every rate is multiplied by this.", above: "0", most: "1000000", initial: "1"},
	}
}

// curveNames are the key exchanges of TLS that can be chosen.
func curveNames() []string {
	return []string{"X25519MLKEM768", "X25519", "P-256", "P-384", "P-521"}
}

const (
	statusPattern   = `^\s*([1-5]xx|[1-5][0-9]{2}(\s*-\s*[1-5][0-9]{2})?)(\s*,\s*([1-5]xx|[1-5][0-9]{2}(\s*-\s*[1-5][0-9]{2})?))*\s*$`
	tokenURLPattern = `^https?://[^/?#@\s]+(/[^#\s]*)?$`
)
