package audit

import (
	"fmt"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// installRules are about how Istio itself is installed.
func installRules() []Rule {
	return []Rule{
		{
			Code: "SP064", Name: "certificate-lives-long", Severity: Warning, Title: "Certificates of workloads that live long",
			Why:     "A workload's certificate cannot be called back: who has stolen it with its key is that workload until it expires. Istio renews certificates by itself at half of their life, 24 hours unless set, so a long one gains nothing.",
			Fix:     "env:\n- name: DEFAULT_WORKLOAD_CERT_TTL\n  value: 24h\n",
			Caution: []string{"istiod signs each certificate anew twice in its life: look at its CPU when the life becomes much shorter. What keeps certificates beside the proxy, as OUTPUT_CERTS does, has to read them again."},
			check:   longLives,
		},
		{
			Code: "SP065", Name: "demo-profile", Severity: Warning, Title: "The profile for a demonstration",
			Why:     "The profiles demo and preview are made to show features on a laptop: every request is traced, logs are on for all, proxies request 10m of CPU, and control plane and gateways have no more than a try needs.",
			Fix:     "spec:\n  profile: default # and what production needs, said by itself\n",
			Caution: []string{"The egress gateway of demo goes away with it: routes that lead through it break, unless components.egressGateways has it."},
			check:   demoProfiles,
		},
		{
			Code: "SP066", Name: "protocol-detection-times-out", Severity: Warning, Title: "Protocols are detected for a limited time",
			Why:     "With protocolDetectionTimeout, a connection whose first bytes are late is taken for plain TCP without mTLS, and breaks; Istio's own documentation calls it neither recommended nor safe. Ports that name their protocol need no detection.",
			Fix:     "protocolDetectionTimeout: 0s # the default; see SP084 for the ports\n",
			Caution: []string{"Without it, a client of a port that names no protocol and on which the server speaks first waits for ever: name those ports tcp or by their protocol first."},
			check:   detectionTimeouts,
		},
	}
}

// setting is a variable that istiod or a proxy gets.
type setting struct {
	object mesh.Object
	name   string
	value  mesh.Field
}

// variables returns what istiod and the proxies are given as environment.
func (in *inspection) variables() []setting {
	var all []setting
	table := func(o mesh.Object, f mesh.Field) {
		for _, name := range f.Keys() {
			all = append(all, setting{o, name, f.Get(name)})
		}
	}
	list := func(o mesh.Object, f mesh.Field) {
		for _, item := range f.Items() {
			all = append(all, setting{o, item.Get("name").Text(), item.Get("value")})
		}
	}
	for _, o := range in.of("IstioOperator") {
		list(o, spec(o, "components", "pilot", "k8s", "env"))
		table(o, spec(o, "values", "pilot", "env"))
	}
	for _, o := range in.of(mesh.KindIstiodValues) {
		table(o, o.Root().Get("env"))
		table(o, o.Root().Get("pilot", "env"))
	}
	for _, config := range in.meshConfigs() {
		table(config.object, config.field.Get("defaultConfig", "proxyMetadata"))
	}
	for _, o := range in.of("ProxyConfig") {
		table(o, spec(o, "environmentVariables"))
	}
	for _, pod := range in.pods {
		table(pod.object, pod.config.Get("proxyMetadata"))
		if isIstiod(pod.object) {
			for _, container := range pod.field.Get("spec", "containers").Items() {
				list(pod.object, container.Get("env"))
			}
		}
	}
	return all
}

func isIstiod(o mesh.Object) bool { return o.Name == "istiod" || strings.HasPrefix(o.Name, "istiod-") }

func longLives(in *inspection) []hit {
	const day = 24 * time.Hour
	// The longest is Istio's own default of MAX_WORKLOAD_CERT_TTL.
	longest := map[string]time.Duration{"SECRET_TTL": 7 * day, "DEFAULT_WORKLOAD_CERT_TTL": 7 * day, "MAX_WORKLOAD_CERT_TTL": 90 * day}
	var hits []hit
	for _, v := range in.variables() {
		bound, known := longest[v.name]
		if !known || !v.value.Exists() {
			continue
		}
		life, err := time.ParseDuration(v.value.Text())
		switch {
		case err != nil:
			hits = append(hits, hit{object: v.object, at: v.value, message: fmt.Sprintf("%s: %q is no duration as Go reads it, whose longest unit is h; it is not in force", v.name, v.value.Text())})
		case life > bound:
			hits = append(hits, hit{object: v.object, at: v.value, message: fmt.Sprintf("%s is %s, %.0f days", v.name, v.value.Text(), life.Hours()/24)})
		}
	}
	return hits
}

func demoProfiles(in *inspection) []hit {
	var hits []hit
	add := func(o mesh.Object, f mesh.Field) {
		if f.Text() == "demo" || f.Text() == "preview" {
			hits = append(hits, hit{object: o, at: f, message: "the profile is " + f.Text()})
		}
	}
	for _, o := range in.of("IstioOperator") {
		add(o, spec(o, "profile"))
		add(o, spec(o, "values", "profile"))
	}
	for _, o := range in.of(mesh.KindIstiodValues) {
		add(o, o.Root().Get("profile"))
	}
	return hits
}

func detectionTimeouts(in *inspection) []hit {
	var hits []hit
	for _, config := range in.meshConfigs() {
		f := config.field.Get("protocolDetectionTimeout")
		if d, ok := f.Duration(); ok && d > 0 {
			hits = append(hits, hit{object: config.object, at: f, message: fmt.Sprintf("a connection whose first bytes take longer than %s is taken for plain TCP", d)})
		}
	}
	return hits
}
