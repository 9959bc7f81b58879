package breaker

import (
	"fmt"
	"strconv"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// LiveValue is a setting of a running Envoy.
type LiveValue struct {
	Text  string // a number, true or false, or a duration such as "30s"
	Given bool   // false: Envoy's default
}

// CompareLive holds the settings of a running client's Envoy against the policy that
// the files come to, field by field. Settings that it says nothing of are left out.
func CompareLive(policy mesh.Policy, live map[string]LiveValue) []Result {
	var results []Result
	for _, s := range Settings(policy, policy) {
		running, known := live[s.Field]
		if s.Side != Client || !known {
			continue
		}
		where := "in the running configuration"
		if !running.Given {
			where = "Envoy's default, since the running configuration does not say it"
		}
		o := passed(fmt.Sprintf("%s (%s)", liveText(s, running.Text), where))
		if !sameSetting(s, running.Text) {
			o = failed(o.observed, "the files come to %s (%s): what runs is not what they say, or another object decides", s.Text(), s.Source)
		}
		results = append(results, judgement("live "+s.Field, s.Field, Client, s.Value, "what runs is what the files come to: "+s.Text(), o))
	}
	return results
}

// sameSetting compares a value of the policy with a text of Envoy's.
func sameSetting(s Setting, running string) bool { return liveText(s, running) == s.Text() }

// liveText writes a text of Envoy's as the policy writes the same value.
func liveText(s Setting, running string) string {
	if n, err := strconv.ParseUint(running, 10, 32); err == nil {
		endless := uint64(mesh.Unlimited)
		switch s.Field {
		case fieldPerConnection:
			endless = 0
		case fieldStreams:
			endless = mesh.UnlimitedStreams
		}
		if n == endless {
			return unlimited
		}
		return strconv.FormatUint(n, 10)
	}
	if d, err := time.ParseDuration(running); err == nil {
		if d == 0 {
			return none
		}
		return short(d)
	}
	return running
}
