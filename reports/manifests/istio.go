package manifests

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	istioapi "istio.io/api/networking/v1alpha3"
	istiov1 "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sailplan-io/sailplan/analysis"
)

// destinationRule is the connection pool as an object; of a reduction that belongs
// in steps it has the first.
func destinationRule(pool analysis.ConnectionPool, staged []analysis.Staged) (object, error) {
	settings := &istioapi.ConnectionPoolSettings{}
	o := object{name: "destination-rule", comments: []comment{
		{"spec/trafficPolicy/connectionPool", "Of each proxy that calls the host, and again of each sidecar in front of it. " +
			"What is not set here has no limit; 0 would mean the same."},
	}}
	limits := []struct {
		field string
		n     int
		set   func(int32)
	}{
		{"tcp/maxConnections", pool.TCP.MaxConnections, func(n int32) { tcp(settings).MaxConnections = n }},
		{"http/http1MaxPendingRequests", pool.HTTP.HTTP1MaxPendingRequests, func(n int32) { http(settings).Http1MaxPendingRequests = n }},
		{"http/http2MaxRequests", pool.HTTP.HTTP2MaxRequests, func(n int32) { http(settings).Http2MaxRequests = n }},
		{"http/maxRequestsPerConnection", pool.HTTP.MaxRequestsPerConnection, func(n int32) { http(settings).MaxRequestsPerConnection = n }},
		{"http/maxRetries", pool.HTTP.MaxRetries, func(n int32) { http(settings).MaxRetries = n }},
	}
	for _, limit := range limits {
		switch {
		case limit.n < 0 || limit.n > math.MaxInt32:
			return object{}, fmt.Errorf("%s is %d, beyond what the field can hold", limit.field, limit.n)
		case limit.n > 0:
			n, words, err := firstNumber(staged, limit.field, limit.n)
			if err != nil {
				return object{}, err
			}
			limit.set(n)
			o.explain(pool, limit.field, words)
		}
	}
	for _, d := range []struct {
		field, text string
		set         func(*durationpb.Duration)
	}{
		{"tcp/connectTimeout", pool.TCP.ConnectTimeout, func(d *durationpb.Duration) { tcp(settings).ConnectTimeout = d }},
		{"http/idleTimeout", pool.HTTP.IdleTimeout, func(d *durationpb.Duration) { http(settings).IdleTimeout = d }},
	} {
		if d.text == "" {
			continue
		}
		value, err := time.ParseDuration(d.text)
		if err != nil {
			return object{}, fmt.Errorf("%s: %w", d.field, err)
		}
		if value < time.Millisecond || value%time.Millisecond != 0 {
			return object{}, fmt.Errorf("%s is %s; Istio takes whole milliseconds from 1ms", d.field, value)
		}
		d.set(durationpb.New(value))
		o.explain(pool, d.field, "")
	}
	if settings.Tcp == nil && settings.Http == nil {
		o.comments = nil
	}
	host := pool.Host
	if !inMesh(host) {
		host = placeholderHost
		o.example = "Which service of the mesh the traffic reaches is not known from outside."
		o.comments = append(o.comments, comment{"spec/host", fmt.Sprintf("The load went to %q; put in the service behind it, here and in destination_service of the alerts. With target.service in the scenario it is written for you.", pool.Host)})
	}
	o.usage = "Merge it into the DestinationRule that you have for this host: of two for one host, Istio does not take the sum. " +
		"Where there is none: kubectl apply -n NAMESPACE -f FILE"
	o.value = &istiov1.DestinationRule{
		TypeMeta:   metav1.TypeMeta{APIVersion: istiov1.SchemeGroupVersion.String(), Kind: "DestinationRule"},
		ObjectMeta: metav1.ObjectMeta{Name: kubernetesName(pool.Host)},
		Spec: istioapi.DestinationRule{
			Host:          host,
			TrafficPolicy: &istioapi.TrafficPolicy{ConnectionPool: settings},
		},
	}
	return o, nil
}

// placeholderHost stands where the name of a service has to be put in.
const placeholderHost = "service.namespace.svc.cluster.local"

// inMesh reports whether a host is the full name of a Kubernetes service. The
// host of a URL, which a gateway serves, is not what a DestinationRule or a
// metric of Istio's is about.
func inMesh(host string) bool {
	parts := strings.Split(host, ".")
	for _, part := range parts {
		if part == "" || kubernetesName(part) != part {
			return false
		}
	}
	return len(parts) >= 4 && parts[2] == "svc"
}

// explain puts the reason of a field above it, after what else there is to say.
func (o *object) explain(pool analysis.ConnectionPool, field, first string) {
	group, name, _ := strings.Cut(field, "/")
	o.comments = append(o.comments, comment{"spec/trafficPolicy/connectionPool/" + field, strings.TrimSpace(first + " " + pool.Reasons[group+"."+name])})
}

// firstNumber is what to set of a limit now: all of it, or the first step towards
// it, and then in words which steps follow.
func firstNumber(staged []analysis.Staged, field string, n int) (int32, string, error) {
	first, words := firstStep(staged, "", strings.Replace(field, "/", ".", 1))
	if first == "" {
		return int32(n), "", nil
	}
	value, err := strconv.ParseInt(first, 10, 32)
	if err != nil {
		return 0, "", fmt.Errorf("first step of %s: %w", field, err)
	}
	return int32(value), words, nil
}

func tcp(s *istioapi.ConnectionPoolSettings) *istioapi.ConnectionPoolSettings_TCPSettings {
	if s.Tcp == nil {
		s.Tcp = &istioapi.ConnectionPoolSettings_TCPSettings{}
	}
	return s.Tcp
}

func http(s *istioapi.ConnectionPoolSettings) *istioapi.ConnectionPoolSettings_HTTPSettings {
	if s.Http == nil {
		s.Http = &istioapi.ConnectionPoolSettings_HTTPSettings{}
	}
	return s.Http
}
