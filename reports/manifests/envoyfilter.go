package manifests

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	istioapi "istio.io/api/networking/v1alpha3"
	istiov1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sailplan-io/sailplan/analysis"
)

// managerFilter is the name that Istio gives the HTTP connection manager of a listener.
const managerFilter = "envoy.filters.network.http_connection_manager"

// connectionLifetime ends clients' connections to a gateway after a time. No field of
// Gateway or DestinationRule does: those of a DestinationRule are about connections to
// a service.
func connectionLifetime(c analysis.Component, name string) (object, error) {
	seconds := c.Connections.MaxSeconds
	if !(seconds >= 1) || math.IsInf(seconds, 0) || seconds > 365*24*3600 {
		return object{}, fmt.Errorf("connections that live %v s", seconds)
	}
	manager := &hcm.HttpConnectionManager{CommonHttpProtocolOptions: &core.HttpProtocolOptions{
		MaxConnectionDuration: durationpb.New(time.Duration(math.Round(seconds)) * time.Second),
	}}
	value, err := patchOf(manager)
	if err != nil {
		return object{}, err
	}
	return object{
		name:  name + "-connection-lifetime",
		usage: "Apply with: kubectl apply -n NAMESPACE -f FILE, where NAMESPACE is that of the gateway's pods",
		comments: []comment{
			{"spec/configPatches", sentence(c.Connections.Reason) + " When its time is up, a connection is told to go away and ends with its last request. " +
				"An EnvoyFilter depends on what Istio generates: look at it after each upgrade (istioctl proxy-config listeners POD -o yaml | grep maxConnectionDuration)."},
			{"spec/workloadSelector", "The label of the gateway's pods; put yours in."},
		},
		value: &istiov1alpha3.EnvoyFilter{
			TypeMeta:   metav1.TypeMeta{APIVersion: istiov1alpha3.SchemeGroupVersion.String(), Kind: "EnvoyFilter"},
			ObjectMeta: metav1.ObjectMeta{Name: name + "-connection-lifetime"},
			Spec: istioapi.EnvoyFilter{
				WorkloadSelector: &istioapi.WorkloadSelector{Labels: map[string]string{"app": name}},
				ConfigPatches: []*istioapi.EnvoyFilter_EnvoyConfigObjectPatch{{
					ApplyTo: istioapi.EnvoyFilter_NETWORK_FILTER,
					Match: &istioapi.EnvoyFilter_EnvoyConfigObjectMatch{
						Context: istioapi.EnvoyFilter_GATEWAY,
						ObjectTypes: &istioapi.EnvoyFilter_EnvoyConfigObjectMatch_Listener{Listener: &istioapi.EnvoyFilter_ListenerMatch{
							FilterChain: &istioapi.EnvoyFilter_ListenerMatch_FilterChainMatch{Filter: &istioapi.EnvoyFilter_ListenerMatch_FilterMatch{Name: managerFilter}},
						}},
					},
					Patch: &istioapi.EnvoyFilter_Patch{Operation: istioapi.EnvoyFilter_Patch_MERGE, Value: value},
				}},
			},
		},
	}, nil
}

// patchOf is what is merged into the filter.
func patchOf(manager *hcm.HttpConnectionManager) (*structpb.Struct, error) {
	typed, err := anypb.New(manager)
	if err != nil {
		return nil, fmt.Errorf("connection manager: %w", err)
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(typed)
	if err != nil {
		return nil, fmt.Errorf("connection manager: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("connection manager: %w", err)
	}
	return structpb.NewStruct(map[string]any{"typed_config": fields})
}
