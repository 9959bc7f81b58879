package manifests

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"istio.io/api/annotation"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/recommend"
	"github.com/sailplan-io/sailplan/scenarios"
)

// resources is a patch of the Deployment: of its container, or for a sidecar,
// which is injected, of the annotations that its resources come from.
// Of a reduction that belongs in steps it has the first.
func resources(c analysis.Component, name string, staged []analysis.Staged) (object, error) {
	first, words := firstResources(c, staged)
	requests, err := resourceList(first.Requests)
	if err != nil {
		return object{}, fmt.Errorf("requests: %w", err)
	}
	limits, err := resourceList(first.Limits)
	if err != nil {
		return object{}, fmt.Errorf("limits: %w", err)
	}
	o := object{
		name:  patchFolder + name + "-resources",
		usage: fmt.Sprintf("A strategic merge patch, not a whole object. Apply with: kubectl patch deployment %s -n NAMESPACE --patch-file FILE", name),
	}
	patch := appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}
	reason := strings.TrimSpace(words + " " + sentence(c.Resources.Reason))
	if c.Concurrency > 0 {
		reason += fmt.Sprintf(" Measured at concurrency %d, the number of worker threads; at another a replica carries another rate.", c.Concurrency)
	}
	if scenarios.Role(c.Role) == scenarios.RoleSidecar {
		patch.Spec.Template.Annotations = sidecarAnnotations(requests, limits)
		o.comments = append(o.comments, concurrency(&patch, c)...)
		o.comments = append(o.comments, comment{
			"spec/template/metadata/annotations",
			reason + " All four together: as soon as one is set, the mesh-wide requests and limits no longer hold for this pod." + asUsual(requests, limits),
		})
	} else {
		patch.Spec.Template.Spec.Containers = []corev1.Container{{
			Name:      container(c, name),
			Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits},
		}}
		o.comments = append(o.comments, comment{"spec/template/spec/containers/0/resources", reason})
		o.comments = append(o.comments, concurrency(&patch, c)...)
	}
	o.value = patch
	return o, nil
}

// firstResources are the quantities to set now, and in words which steps follow.
func firstResources(c analysis.Component, staged []analysis.Staged) (analysis.Resources, string) {
	r := *c.Resources
	var words []string
	for _, of := range []struct {
		setting string
		value   *string
	}{
		{"requests.cpu", &r.Requests.CPU}, {"requests.memory", &r.Requests.Memory},
		{"limits.cpu", &r.Limits.CPU}, {"limits.memory", &r.Limits.Memory},
	} {
		if first, then := firstStep(staged, c.Name, of.setting); first != "" {
			*of.value = first
			words = append(words, of.setting+": "+then)
		}
	}
	return r, strings.Join(words, " ")
}

// firstStep returns the first of several steps of a setting, and in words what
// follows; "" where one step does.
func firstStep(staged []analysis.Staged, component, setting string) (value, words string) {
	value, isStaged := recommend.First(staged, component, setting)
	if !isStaged {
		return "", ""
	}
	for _, s := range staged {
		if s.Component == component && s.Setting == setting {
			words = fmt.Sprintf("Step 1 of %d down from %s; then %s. Go on when %s; go back when not.", len(s.Steps), s.From, strings.Join(s.Steps[1:], ", "), s.Check)
		}
	}
	return value, words
}

// concurrency sets the worker threads of a proxy, which belong to its CPU limit.
func concurrency(patch *appsv1.Deployment, c analysis.Component) []comment {
	if c.Resources.Concurrency <= 0 {
		return nil
	}
	if patch.Spec.Template.Annotations == nil {
		patch.Spec.Template.Annotations = map[string]string{}
	}
	patch.Spec.Template.Annotations[annotation.ProxyConfig.Name] = fmt.Sprintf("{concurrency: %d}", c.Resources.Concurrency)
	return []comment{{
		"spec/template/metadata/annotations/" + strings.ReplaceAll(annotation.ProxyConfig.Name, "/", "~1"),
		"The worker threads: " + sentence(c.Resources.ConcurrencyReason) + " Where the pods have this annotation already, add concurrency to it: this one takes its place.",
	}}
}

// rollout is a patch of the Deployment: how its pods spread over zones and are
// replaced, as the replicas were reckoned with.
func rollout(c analysis.Component, name string) object {
	r := c.Replicas
	unavailable, surge := intstr.Parse(r.MaxUnavailable), intstr.Parse(r.MaxSurge)
	patch := appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}
	patch.Spec.Strategy = appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &unavailable, MaxSurge: &surge},
	}
	o := object{
		name:  patchFolder + name + "-rollout",
		usage: fmt.Sprintf("A strategic merge patch, not a whole object. Apply with: kubectl patch deployment %s -n NAMESPACE --patch-file FILE", name),
		comments: []comment{{"spec/strategy", fmt.Sprintf("%d replicas carry the planned rate and %d are enough while an update has %s of them missing; there may be %d then, which the nodes have to have room for.",
			r.CarriesPlannedRate, r.SurvivesRollingUpdate, r.MaxUnavailable, r.MostDuringUpdate)}},
	}
	if r.Zones > 1 {
		honor := corev1.NodeInclusionPolicyHonor
		patch.Spec.Template.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: int32(r.ZoneSkew), TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector:    &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			NodeTaintsPolicy: &honor,
			MatchLabelKeys:   []string{appsv1.DefaultDeploymentUniqueLabelKey},
		}}
		o.comments = append(o.comments, comment{"spec/template/spec/topologySpreadConstraints", fmt.Sprintf(
			"%d replicas survive the loss of one of %d zones only when they are spread so. Nodes of a lost zone, which are tainted, do not count, so that replicas can start elsewhere (Kubernetes 1.27 or later). The label is that of the component's pods; put yours in.",
			r.SurvivesZoneLoss, r.Zones)})
	}
	o.value = patch
	return o
}

// sidecarSetting is an annotation of a sidecar's pod with what it sets.
type sidecarSetting struct {
	name        string
	what        corev1.ResourceName
	limit       bool
	value       resource.Quantity
	recommended bool // and not Istio's own
}

// sidecarSettings are all four: setting one of them alone takes the others away.
func sidecarSettings(requests, limits corev1.ResourceList) []sidecarSetting {
	usualRequests, usualLimits := usual()
	all := []sidecarSetting{
		{name: annotation.SidecarProxyCPU.Name, what: corev1.ResourceCPU},
		{name: annotation.SidecarProxyMemory.Name, what: corev1.ResourceMemory},
		{name: annotation.SidecarProxyCPULimit.Name, what: corev1.ResourceCPU, limit: true},
		{name: annotation.SidecarProxyMemoryLimit.Name, what: corev1.ResourceMemory, limit: true},
	}
	for i := range all {
		s := &all[i]
		list, otherwise := requests, usualRequests
		if s.limit {
			list, otherwise = limits, usualLimits
		}
		if s.value, s.recommended = list[s.what]; !s.recommended {
			s.value = otherwise[s.what]
			if request, has := requests[s.what]; s.limit && has && request.Cmp(s.value) > 0 {
				s.value = request // a limit below the request is refused
			}
			if limit, has := limits[s.what]; !s.limit && has && limit.Cmp(s.value) < 0 {
				s.value = limit
			}
		}
	}
	return all
}

func sidecarAnnotations(requests, limits corev1.ResourceList) map[string]string {
	annotations := map[string]string{}
	for _, s := range sidecarSettings(requests, limits) {
		annotations[s.name] = s.value.String()
	}
	return annotations
}

// asUsual names those that nothing is recommended for.
func asUsual(requests, limits corev1.ResourceList) string {
	var names []string
	for _, s := range sidecarSettings(requests, limits) {
		if !s.recommended {
			_, name, _ := strings.Cut(s.name, "/")
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " Nothing is recommended for " + strings.Join(names, ", ") + ": that is Istio's own value; put in yours if the mesh has another."
}

// resourceList reads quantities; what is empty is left out.
func resourceList(q analysis.Quantities) (corev1.ResourceList, error) {
	list := corev1.ResourceList{}
	for _, of := range []struct {
		name corev1.ResourceName
		text string
	}{{corev1.ResourceCPU, q.CPU}, {corev1.ResourceMemory, q.Memory}} {
		if of.text == "" {
			continue
		}
		quantity, err := resource.ParseQuantity(of.text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", of.name, of.text, err)
		}
		if quantity.Sign() <= 0 {
			return nil, fmt.Errorf("%s %q is not above zero", of.name, of.text)
		}
		list[of.name] = quantity
	}
	return list, nil
}
