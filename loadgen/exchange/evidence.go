package exchange

// FieldEvidence returns what a header field shows; its name is in lower case.
func FieldEvidence(name, value []byte) Evidence {
	switch string(name) {
	case "x-envoy-overloaded":
		if string(value) == "true" {
			return SaysOverloaded
		}
	case "x-envoy-upstream-service-time":
		return UpstreamAnswered
	case "server":
		if string(value) == "envoy" || string(value) == "istio-envoy" {
			return FromProxy
		}
	}
	return 0
}

// ParseStatus reads three digits from 100 to 999; 0 otherwise.
func ParseStatus(s []byte) int32 {
	if len(s) != 3 || s[0] < '1' {
		return 0
	}
	status := int32(0)
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0
		}
		status = 10*status + int32(c-'0')
	}
	return status
}
