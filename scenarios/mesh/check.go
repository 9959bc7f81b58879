package mesh

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sailplan-io/sailplan/scenarios"
)

// check holds a DestinationRule of the right shape to what Istio's own
// validation demands of its values, and returns warnings about what Istio
// accepts without effect.
func (p *parser) check(object Object) scenarios.Errors {
	document := object.document
	c := checker{parser: p, document: document}
	if scalar(object.spec, "host") == "" {
		p.fail(document, object.spec, "spec.host", "", "is missing")
	}
	c.trafficPolicy(lookup(object.spec, "trafficPolicy"), "spec.trafficPolicy")
	subsets := lookup(object.spec, "subsets")
	if subsets == nil {
		return c.warnings
	}
	names := make(map[string]bool)
	for i, subset := range subsets.Content {
		path := fmt.Sprintf("spec.subsets[%d]", i)
		name := scalar(subset, "name")
		switch {
		case name == "":
			p.fail(document, subset, path+".name", "", "is missing")
		case names[name]:
			p.fail(document, lookup(subset, "name"), path+".name", "", "a second subset %q", name)
		}
		names[name] = true
		c.trafficPolicy(lookup(subset, "trafficPolicy"), path+".trafficPolicy")
	}
	return c.warnings
}

type checker struct {
	parser   *parser
	document scenarios.Document
	warnings scenarios.Errors
}

func (c *checker) fail(at *yaml.Node, path, hint, format string, args ...any) {
	c.parser.fail(c.document, at, path, hint, format, args...)
}

func (c *checker) warn(at *yaml.Node, path, hint, message string) {
	if len(c.warnings) >= maxProblems {
		return
	}
	problem := c.document.Problem(at, path, message)
	problem.Hint = hint
	c.warnings = append(c.warnings, problem)
}

func (c *checker) trafficPolicy(policy *yaml.Node, path string) {
	if policy == nil {
		return
	}
	if len(policy.Content) == 0 {
		c.fail(policy, path, "remove it", "Istio refuses an empty policy")
	}
	c.blocks(policy, path)
	ports := make(map[string]bool)
	settings := lookup(policy, "portLevelSettings")
	if settings == nil {
		return
	}
	for i, setting := range settings.Content {
		settingPath := fmt.Sprintf("%s.portLevelSettings[%d]", path, i)
		number := scalar(lookup(setting, "port"), "number")
		switch {
		case number == "":
			c.fail(setting, settingPath+".port.number", "", "is missing")
		case ports[number]:
			c.warn(setting, settingPath, "", fmt.Sprintf("Istio takes the first settings for port %s, not these", number))
		}
		ports[number] = true
		c.blocks(setting, settingPath)
	}
}

func (c *checker) blocks(policy *yaml.Node, path string) {
	if pool := lookup(policy, "connectionPool"); pool != nil {
		c.connectionPool(pool, path+".connectionPool")
	}
	if outlier := lookup(policy, "outlierDetection"); outlier != nil {
		c.outlierDetection(outlier, path+".outlierDetection")
	}
}

func (c *checker) connectionPool(pool *yaml.Node, path string) {
	tcp, http := lookup(pool, "tcp"), lookup(pool, "http")
	if tcp == nil && http == nil {
		c.fail(pool, path, "remove it", "Istio refuses a connection pool without tcp and http")
	}
	c.numbers(tcp, path+".tcp", "maxConnections")
	c.numbers(http, path+".http", "http1MaxPendingRequests", "http2MaxRequests", "maxRequestsPerConnection", "maxRetries", "maxConcurrentStreams")
	c.durations(tcp, path+".tcp", "connectTimeout", "maxConnectionDuration")
	c.durations(http, path+".http", "idleTimeout")
	c.durations(lookup(tcp, "tcpKeepalive"), path+".tcp.tcpKeepalive", "time", "interval")
	for _, key := range []string{"time", "interval"} {
		node := lookup(lookup(tcp, "tcpKeepalive"), key)
		if node == nil {
			continue
		}
		if d, err := duration(node); err == nil && d%time.Second != 0 {
			c.warn(node, path+".tcp.tcpKeepalive."+key, "", fmt.Sprintf("Istio cuts %s to %s", d, d.Truncate(time.Second)))
		}
	}
	if strings.EqualFold(scalar(http, "useClientProtocol"), "true") && scalar(http, "h2UpgradePolicy") == "UPGRADE" {
		c.fail(lookup(http, "h2UpgradePolicy"), path+".http.h2UpgradePolicy", "keep one of them", "Istio refuses UPGRADE together with useClientProtocol")
	}
	if keepAlive := lookup(http, "http2KeepAlive"); keepAlive != nil {
		c.durations(keepAlive, path+".http.http2KeepAlive", "interval", "timeout")
		if (lookup(keepAlive, "interval") == nil) != (lookup(keepAlive, "timeout") == nil) {
			c.fail(keepAlive, path+".http.http2KeepAlive", "", "interval and timeout are both needed")
		}
	}
}

func (c *checker) outlierDetection(outlier *yaml.Node, path string) {
	c.durations(outlier, path, "interval", "baseEjectionTime")
	for _, key := range []string{"maxEjectionPercent", "minHealthPercent"} {
		if n, node := integer(outlier, key); node != nil && (n < 0 || n > 100) {
			c.fail(node, path+"."+key, "", "must be from 0 to 100, found %d", n)
		}
	}
	if n, node := integer(outlier, "consecutiveErrors"); node != nil && n != 0 {
		c.warn(node, path+".consecutiveErrors", "use consecutive5xxErrors", "Istio ignores this field")
	}
	if n, node := integer(outlier, "consecutiveLocalOriginFailures"); n > 0 && !strings.EqualFold(scalar(outlier, "splitExternalLocalOriginErrors"), "true") {
		c.fail(node, path+".consecutiveLocalOriginFailures", "set splitExternalLocalOriginErrors: true", "Istio refuses this field without splitExternalLocalOriginErrors")
	}
	if codes := lookup(outlier, "outlierDetectionHttpErrorCodes"); codes != nil {
		for i, code := range codes.Content {
			if n, err := strconv.Atoi(code.Value); err != nil || n < 100 || n > 599 {
				c.fail(code, fmt.Sprintf("%s.outlierDetectionHttpErrorCodes[%d]", path, i), "", "must be from 100 to 599, found %s", code.Value)
			}
		}
	}
}

// integer returns a whole number of a mapping and its node; nil when it is absent.
func integer(mapping *yaml.Node, key string) (int64, *yaml.Node) {
	node := lookup(mapping, key)
	if node == nil {
		return 0, nil
	}
	n, err := strconv.ParseInt(node.Value, 10, 64)
	if err != nil {
		return 0, nil // the shape was checked before
	}
	return n, node
}

// numbers refuses negative limits, and warns of a zero, which reads like
// "nothing" and means "no limit".
func (c *checker) numbers(mapping *yaml.Node, path string, keys ...string) {
	for _, key := range keys {
		n, node := integer(mapping, key)
		switch {
		case node == nil:
		case n < 0:
			c.fail(node, path+"."+key, "", "must not be negative, found %d", n)
		case n == 0:
			c.warn(node, path+"."+key, "remove it, or write a limit", "0 means that there is no limit")
		}
	}
}

// durations refuses what Istio refuses: less than a millisecond, and parts of one.
func (c *checker) durations(mapping *yaml.Node, path string, keys ...string) {
	for _, key := range keys {
		node := lookup(mapping, key)
		if node == nil {
			continue
		}
		if d, err := duration(node); err == nil && (d < time.Millisecond || d%time.Millisecond != 0) {
			c.fail(node, path+"."+key, "", "must be whole milliseconds, at least 1ms, found %s", d)
		}
	}
}
