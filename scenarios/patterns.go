package scenarios

import "regexp"

// The patterns of the format, compiled once: reading a file takes far less time
// than compiling them for each of its values.
var (
	addressExpression      = regexp.MustCompile(addressPattern)
	bytesExpression        = regexp.MustCompile(bytesPattern)
	cpuExpression          = regexp.MustCompile(cpuPattern)
	durationExpression     = regexp.MustCompile(durationPattern)
	httpURLExpression      = regexp.MustCompile(httpURLPattern)
	methodExpression       = regexp.MustCompile(methodPattern)
	nameExpression         = regexp.MustCompile(namePattern)
	pathExpression         = regexp.MustCompile(pathPattern)
	portionExpression      = regexp.MustCompile(portionPattern)
	rateExpression         = regexp.MustCompile(ratePattern)
	ratioExpression        = regexp.MustCompile(ratioPattern)
	scenarioNameExpression = regexp.MustCompile(scenarioNamePattern)
	selectorExpression     = regexp.MustCompile(selectorPattern)
	serviceExpression      = regexp.MustCompile(servicePattern)
	spiffeExpression       = regexp.MustCompile(spiffePattern)
	statusExpression       = regexp.MustCompile(statusPattern)
	tokenURLExpression     = regexp.MustCompile(tokenURLPattern)
)

// expression returns a pattern of the field table, compiled.
func expression(pattern string) *regexp.Regexp {
	switch pattern {
	case addressPattern:
		return addressExpression
	case httpURLPattern:
		return httpURLExpression
	case methodPattern:
		return methodExpression
	case namePattern:
		return nameExpression
	case pathPattern:
		return pathExpression
	case scenarioNamePattern:
		return scenarioNameExpression
	case selectorPattern:
		return selectorExpression
	case servicePattern:
		return serviceExpression
	case spiffePattern:
		return spiffeExpression
	case statusPattern:
		return statusExpression
	case tokenURLPattern:
		return tokenURLExpression
	}
	return regexp.MustCompile(pattern) // of a single key, rarely used
}
