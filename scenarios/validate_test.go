package scenarios_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

const head = "apiVersion: sailplan.io/v1\nkind: Scenario\nmetadata: {name: x}\n"

// remote is a target off loopback with the guard that it needs.
const remote = head + "target: {url: https://shop.example.com}\nguards: {maxRate: 100/s}\n"

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string // in the error; none: the scenario is valid
	}{
		"the least":                      {minimal, nil},
		"target and lab":                 {head + "target: {url: http://127.0.0.1}\nlab: {}\n", []string{"f.yaml:4:1: target: both", "f.yaml:5:1: lab: both target and lab are given (target on line 4, lab on line 5)"}},
		"neither":                        {head, []string{"f.yaml:1:1: neither target nor lab"}},
		"no name":                        {"apiVersion: sailplan.io/v1\nkind: Scenario\nmetadata: {}\nlab: {}\n", []string{"f.yaml:3:1: metadata.name: is missing"}},
		"component without name":         {head + "target: {url: http://127.0.0.1}\nobserve: {components: [{role: service, pid: 1}]}\n", []string{"f.yaml:5:24: observe.components[0].name: is missing"}},
		"remote":                         {remote, nil},
		"remote without maxRate":         {head + "target: {url: https://shop.example.com}\n", []string{"f.yaml:4:15: guards.maxRate: is missing", "shop.example.com:443 is not on loopback"}},
		"remote by connectTo":            {head + "target: {url: http://localhost, connectTo: \"10.0.0.1:80\"}\n", []string{"10.0.0.1:80 is not on loopback"}},
		"loopback by connectTo":          {head + "target: {url: https://shop.example.com, connectTo: \"127.0.0.1:8443\"}\n", nil},
		"remote mutation":                {remote + "requests: [{path: /, method: POST}]\n", []string{"f.yaml:6:30: requests[0].method: POST may change the target", "allowMutations: true"}},
		"remote mutation allowed":        {strings.Replace(remote, "100/s", "100/s, allowMutations: true", 1) + "requests: [{path: /, method: POST}]\n", nil},
		"remote HEAD and OPTIONS":        {remote + "requests: [{path: /, method: HEAD}, {path: /, method: OPTIONS}]\n", nil},
		"local mutation":                 {head + "target: {url: \"http://[::1]:80\"}\nrequests: [{path: /, method: DELETE}]\n", nil},
		"remote closed loop":             {remote + "load: {arrivals: closed}\n", []string{"load.arrivals: closed arrivals cannot be held to guards.maxRate"}},
		"closed loop with a rate":        {minimal + "load: {arrivals: closed, rate: 5/s}\n", []string{"f.yaml:5:32: load.rate: a closed loop has no rate"}},
		"rate above maxRate":             {minimal + "load: {rate: 50/s}\nguards: {maxRate: 10/s}\n", []string{"load.rate: 50/s is above guards.maxRate, 10/s"}},
		"h2 in cleartext":                {head + "target: {url: http://localhost, protocol: h2}\n", []string{"f.yaml:4:43: target.protocol: h2 does not go with http://", "use h2c"}},
		"h2c over TLS":                   {head + "target: {url: https://localhost, protocol: h2c}\n", []string{"h2c does not go with https://", "use h2,"}},
		"tls without TLS":                {head + "target: {url: http://localhost, tls: {insecure: true}}\n", []string{"target.tls: TLS settings have no effect on http://"}},
		"certificate without key":        {head + "target: {url: https://localhost, tls: {certFile: a}}\n", []string{"certFile and keyFile are given together"}},
		"user in URL":                    {head + "target: {url: http://me:secret@localhost}\n", []string{"target.url"}},
		"port":                           {head + "target: {url: http://localhost:70000}\n", []string{"port 70000 is outside 1 to 65535"}},
		"port of connectTo":              {head + "target: {url: http://localhost, connectTo: \"127.0.0.1:0\"}\n", []string{"port 0 is outside"}},
		"classes of one request":         {minimal + "sizing: {perClass: true}\n", []string{"f.yaml:5:20: sizing.perClass: tells the requests of a mix apart"}},
		"price of no quota":              {minimal + "sizing: {quotaPrice: true}\n", []string{"f.yaml:5:22: sizing.quotaPrice: there is no CPU limit"}},
		"price of a quota":               {head + "lab: {gateway: {limits: {cpu: 300m}}}\nsizing: {quotaPrice: true}\n", nil},
		"classes of two requests":        {minimal + "sizing: {perClass: true}\nrequests: [{path: /}, {path: /b}]\n", nil},
		"same name twice":                {minimal + "requests: [{name: a, path: /}, {name: a, path: /b}]\n", []string{"f.yaml:5:39: requests[1].name: the same name as requests[0]"}},
		"connection header":              {minimal + "requests: [{path: /, headers: {Connection: close}}]\n", []string{"requests[0].headers.Connection"}},
		"pseudo-header":                  {minimal + "requests: [{path: /, headers: {\":path\": /}}]\n", []string{"pseudo-headers"}},
		"host header":                    {minimal + "requests: [{path: /, headers: {Host: a}}]\n", []string{"target.connectTo"}},
		"header in two spellings":        {minimal + "requests: [{path: /, headers: {a: x, A: y}}]\n", []string{"other capitals"}},
		"header name with a space":       {minimal + "requests: [{path: /, headers: {a b: x}}]\n", []string{"is not a header name"}},
		"header value with a line break": {minimal + "requests: [{path: /, headers: {a: \"x\\ny\"}}]\n", []string{"a line break"}},
		"te":                             {minimal + "requests: [{path: /, headers: {te: gzip}}]\n", []string{"no value but trailers"}},
		"te trailers":                    {minimal + "requests: [{path: /, headers: {te: trailers}}]\n", nil},
		"CONNECT":                        {minimal + "requests: [{path: /, method: CONNECT}]\n", []string{"CONNECT is not supported"}},
		"sidecar TLS":                    {head + "lab: {sidecar: {tls: true}}\n", []string{"for the gateway only"}},
		"sidecar replicas":               {head + "lab: {sidecar: {replicas: 2}}\n", []string{"lab.sidecar.replicas: each replica of the service has one sidecar"}},
		"sidecar placement":              {head + "lab: {sidecar: {placement: random}}\n", []string{"lab.sidecar.placement: the gateway balances requests"}},
		"placement on one gateway":       {head + "lab: {gateway: {placement: random}}\n", []string{"lab.gateway.placement: there is one gateway"}},
		"two gateways":                   {head + "lab: {gateway: {replicas: 2, placement: random}}\n", nil},
		"p99 below median":               {head + "lab: {service: {latency: {median: 5ms, p99: 1ms}}}\n", []string{"1ms is below the median of 5ms"}},
		"p99 alone":                      {head + "lab: {service: {latency: {p99: 1ms}}}\n", []string{"p99 needs a median"}},
		"planned for":                    {minimal + "demand: {peakRate: 9/s, meanRate: 3/s, clusters: 2, clusterShare: 60%, zoneSkew: 2, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}, today: [{name: gateway, replicas: 2}]}\nprices: {cpuHour: 0.03, gibHour: 0.004, currency: EUR}\n", nil},
		"mean above the peak":            {minimal + "demand: {peakRate: 9/s, meanRate: 10/s}\n", []string{"demand.meanRate: 10/s is above demand.peakRate, 9/s"}},
		"share without clusters":         {minimal + "demand: {clusterShare: 60%}\n", []string{"demand.clusterShare", "set demand.clusters"}},
		"share of the busiest":           {minimal + "demand: {clusters: 2, clusterShare: 40%}\n", []string{"40% is less than the share of 2 clusters"}},
		"a load to try scaling with":     {minimal + "demand: {peakRate: 9/s, scaling: {load: [{at: 0s, rate: 3/s}, {at: 9h, rate: 9/s}, {at: 9h, rate: 4/s}, {at: 24h, rate: 3/s}], startUp: 2m, overAllowed: 0.1%}}\n", nil},
		"a trough to try scaling with":   {minimal + "demand: {peakRate: 9/s, scaling: {trough: 3/s, metricsEvery: 60s, highestTarget: 80%}}\n", nil},
		"a trough above the peak":        {minimal + "demand: {peakRate: 9/s, scaling: {trough: 10/s}}\n", []string{"demand.scaling.trough: 10/s is above demand.peakRate, 9/s"}},
		"a trough and a load":            {minimal + "demand: {peakRate: 9/s, scaling: {trough: 1/s, load: [{at: 0s, rate: 3/s}, {at: 9h, rate: 9/s}]}}\n", []string{"the lowest rate is that of demand.scaling.load"}},
		"one point of a load":            {minimal + "demand: {scaling: {load: [{at: 0s, rate: 3/s}]}}\n", []string{"one point is no load over time"}},
		"a load that begins late":        {minimal + "demand: {scaling: {load: [{at: 1s, rate: 3/s}, {at: 2s, rate: 3/s}]}}\n", []string{"demand.scaling.load[0].at: the load begins at 1s"}},
		"a load that goes back":          {minimal + "demand: {scaling: {load: [{at: 0s, rate: 3/s}, {at: 2h, rate: 3/s}, {at: 1h, rate: 3/s}]}}\n", []string{"demand.scaling.load[2].at: 1h0m0s comes after 2h0m0s"}},
		"a load of a year":               {minimal + "demand: {scaling: {load: [{at: 0s, rate: 3/s}, {at: 9000h, rate: 3/s}]}}\n", []string{"the load lasts 9000h0m0s"}},
		"a load of no time":              {minimal + "demand: {scaling: {load: [{at: 0s, rate: 3/s}, {at: 0s, rate: 4/s}]}}\n", []string{"the load takes no time"}},
		"a load of nothing":              {minimal + "demand: {scaling: {load: [{at: 0s, rate: 0/s}, {at: 9h, rate: 0/s}]}}\n", []string{"the load never rises above zero"}},
		"a history and a stated growth":  {minimal + "demand: {growthPerMonth: 5%, history: {file: rates.csv}}\n", []string{"demand.growthPerMonth: growth is stated here and read from demand.history"}},
		"a history from two places":      {minimal + "demand: {history: {file: rates.csv, query: up}}\nobserve: {prometheus: \"http://p\"}\n", []string{"demand.history: both file and query are given"}},
		"a history of no Prometheus":     {minimal + "demand: {history: {query: up}}\n", []string{"demand.history.query: a query needs a Prometheus to ask", "set observe.prometheus"}},
		"how far back without a query":   {minimal + "demand: {history: {file: rates.csv, last: 48h}}\n", []string{"demand.history.last: is for a query only"}},
		"a history of nothing":           {minimal + "demand: {history: {}}\n", []string{"demand.history: is empty"}},
		"a history":                      {minimal + "demand: {meanRate: 5/s, history: {file: rates.csv}}\n", nil},
		"all replicas missing":           {minimal + "demand: {rollingUpdate: {maxUnavailable: 100%}}\n", []string{"with 100% no replica need be there"}},
		"a portion of replicas":          {minimal + "demand: {rollingUpdate: {maxSurge: 2.5}}\n", []string{"\"2.5\" is neither a number of replicas nor a share"}},
		"too large a portion":            {minimal + "demand: {rollingUpdate: {maxSurge: 101%}}\n", []string{"\"101%\" is neither"}},
		"no clusters":                    {minimal + "demand: {clusters: 0}\n", []string{"demand.clusters: must be at least 1"}},
		"placement":                      {minimal + "demand: {placement: randm}\n", []string{"demand.placement: \"randm\" is not known", "did you mean \"random\"?"}},
		"today of nothing":               {minimal + "demand: {today: [{name: gatway}]}\n", []string{"demand.today[0].name: \"gatway\" is no component of this scenario", "did you mean \"gateway\"?"}},
		"today twice":                    {minimal + "demand: {today: [{name: gateway}, {name: gateway}]}\n", []string{"the same name as demand.today[0]"}},
		"today of a target":              {remote + "demand: {today: [{name: gw}]}\nobserve: {components: [{name: gw, role: gateway, pid: 7}]}\n", nil},
		"today without a unit":           {minimal + "demand: {today: [{name: gateway, requests: {memory: 512}}]}\n", []string{"did you mean 512Mi?"}},
		"a negative price":               {minimal + "prices: {cpuHour: -1}\n", []string{"prices.cpuHour: must be at least 0"}},
		"margins":                        {minimal + "margins: {latencyP99: 15%, errorRatio: 0, cpuPerRequest: 0.025}\n", nil},
		"a negative margin":              {minimal + "margins: {memory: -1%}\n", []string{"margins.memory"}},
		"a margin of all requests":       {minimal + "margins: {errorRatio: 101%}\n", []string{"margins.errorRatio"}},
		"a margin of nothing":            {minimal + "margins: {latencyP95: 5%}\n", []string{"latencyP95", "did you mean"}},
		"a currency":                     {minimal + "prices: {currency: \"much money\"}\n", []string{"prices.currency"}},
		"tiny quota":                     {head + "lab: {gateway: {limits: {cpu: 5m}}}\n", []string{"5m is below the smallest quota that can be set, 10m"}},
		"forgotten Mi":                   {head + "lab: {gateway: {limits: {memory: 512}}}\n", []string{"512 bytes are too little", "did you mean 512Mi?"}},
		"components of a lab":            {minimal + "observe: {components: [{name: a, role: service, pid: 1}]}\n", []string{"the lab observes its own"}},
		"component without source":       {head + "target: {url: http://localhost}\nobserve: {components: [{name: a, role: service}]}\n", []string{"no source of metrics"}},
		"queries without Prometheus":     {head + "target: {url: http://localhost}\nobserve: {components: [{name: a, role: service, prometheus: {cpuSeconds: x}}]}\n", []string{"set observe.prometheus"}},
		"pid of two replicas":            {head + "target: {url: http://localhost}\nobserve: {components: [{name: a, role: service, pid: 1, replicas: 2}]}\n", []string{"a pid is one replica, not 2"}},
		"condition without Prometheus":   {minimal + "guards: {abortWhen: [{name: a, query: b}]}\n", []string{"conditions need a Prometheus"}},
		"empty objective":                {minimal + "objectives: [{}]\n", []string{"objectives[0]: is empty"}},
		"both kinds in one":              {minimal + "objectives: [{quantile: 0.9, latency: 1s, errorRatio: 1%}]\n", []string{"either about latency or about errors"}},
		"latency without quantile":       {minimal + "objectives: [{latency: 1s}]\n", []string{"quantile is missing"}},
		"quantile without latency":       {minimal + "objectives: [{quantile: 0.5}]\n", []string{"latency is missing"}},
		"same quantile twice":            {minimal + "objectives: [{quantile: 0.9, latency: 1s}, {quantile: 0.9, latency: 2s}]\n", []string{"the same quantile as in objectives[0]"}},
		"two error ratios":               {minimal + "objectives: [{errorRatio: 1%}, {errorRatio: 2%}]\n", []string{"a second errorRatio"}},
		"no errors at all":               {minimal + "objectives: [{errorRatio: 0}]\n", nil},
		"many at once":                   {head + "target: {url: http://localhost:0, protocol: h2}\nload: {arrivals: closed, rate: 5/s}\n", []string{"port 0", "target.protocol", "load.rate"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := decodeAndValidate("f.yaml", []byte(test.in))
			if len(test.want) == 0 {
				if err != nil {
					t.Errorf("got error\n%v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got\n%v\nwant %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Error("the message shows a password")
			}
		})
	}
}

// TestValidateBuiltInCode checks scenarios that never were in a file: the same
// rules, without places.
func TestValidateBuiltInCode(t *testing.T) {
	valid := func() scenarios.Scenario {
		return scenarios.Scenario{Metadata: scenarios.Metadata{Name: "x"}, Target: &scenarios.Target{URL: "http://127.0.0.1:8080"}}
	}
	if err := scenarios.Validate(scenarios.Defaults(valid())); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*scenarios.Scenario)
		want   string
	}{
		"no name":           {func(s *scenarios.Scenario) { s.Metadata.Name = "" }, "metadata.name: is missing"},
		"no URL":            {func(s *scenarios.Scenario) { s.Target.URL = "" }, "target.url: is missing"},
		"negative duration": {func(s *scenarios.Scenario) { s.Load.Duration = -time.Second }, "load.duration: must be above 0s"},
		"negative weight":   {func(s *scenarios.Scenario) { s.Requests = []scenarios.Request{{Path: "/", Weight: -1}} }, "requests[0].weight: must be above 0"},
		"unknown pacing":    {func(s *scenarios.Scenario) { s.Load.Pacing = "fast" }, `load.pacing: "fast" is not known: use economical or precise`},
		"http/3":            {func(s *scenarios.Scenario) { s.Target.Protocol = "h3" }, `target.protocol: "h3" is not known`},
		"negative memory": {func(s *scenarios.Scenario) {
			s.Target, s.Lab = nil, &scenarios.Lab{Gateway: scenarios.LabProxy{Limits: scenarios.Limits{Memory: -5}}}
		}, "lab.gateway.limits.memory: must be at least 0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := valid()
			test.change(&s)
			err := scenarios.Validate(scenarios.Defaults(s))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
			if _, err := scenarios.Resolve(s); err == nil {
				t.Error("Resolve accepts the scenario")
			}
			var problems scenarios.Errors
			if errors.As(err, &problems) && problems[0].File != "" {
				t.Errorf("got a place %+v for what was in no file", problems[0])
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	for _, host := range []string{"localhost", "LocalHost", "localhost.", "127.0.0.1", "127.255.0.9", "::1", "[::1]", "::ffff:127.0.0.1"} {
		if !scenarios.IsLoopback(host) {
			t.Errorf("%s: got false", host)
		}
	}
	for _, host := range []string{"", "example.com", "localhost.example.com", "my.localhost", "128.0.0.1", "10.0.0.1", "0.0.0.0", "::", "127.1", "0x7f.1", "2130706433", "127.0.0.1.nip.io", "::ffff:10.0.0.1"} {
		if scenarios.IsLoopback(host) {
			t.Errorf("%s: got true", host)
		}
	}
}
