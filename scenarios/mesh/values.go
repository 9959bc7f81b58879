package mesh

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	meshv1alpha1 "istio.io/api/mesh/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sailplan-io/sailplan/scenarios"
)

// The installation of Istio is described by no published API: IstioOperator and
// the values of the charts are types of istioctl and of Helm. The types here
// have the names that Istio 1.29 to 1.31 knows; what is of no concern to an audit
// is any.

type istioOperator struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metadata          `json:"metadata"`
	Spec            istioOperatorSpec `json:"spec"`
	Status          any               `json:"status"`
}

type istioOperatorSpec struct {
	Profile              string                   `json:"profile"`
	InstallPackagePath   string                   `json:"installPackagePath"`
	Hub                  string                   `json:"hub"`
	Tag                  any                      `json:"tag"`
	Namespace            string                   `json:"namespace"`
	Revision             string                   `json:"revision"`
	CompatibilityVersion any                      `json:"compatibilityVersion"`
	MeshConfig           *meshv1alpha1.MeshConfig `json:"meshConfig"`
	Components           operatorComponents       `json:"components"`
	Values               istioValues              `json:"values"`
	UnvalidatedValues    any                      `json:"unvalidatedValues"`
}

type operatorComponents struct {
	Base            operatorComponent   `json:"base"`
	Pilot           operatorComponent   `json:"pilot"`
	CNI             operatorComponent   `json:"cni"`
	Ztunnel         operatorComponent   `json:"ztunnel"`
	IstiodRemote    operatorComponent   `json:"istiodRemote"`
	IngressGateways []operatorComponent `json:"ingressGateways"`
	EgressGateways  []operatorComponent `json:"egressGateways"`
	Gateway         operatorComponent   `json:"gateway"`
}

type operatorComponent struct {
	Enabled   any               `json:"enabled"`
	Namespace string            `json:"namespace"`
	Hub       string            `json:"hub"`
	Tag       any               `json:"tag"`
	Name      string            `json:"name"`
	Label     map[string]string `json:"label"`
	K8s       operatorResources `json:"k8s"`
}

type operatorResources struct {
	Affinity                  *corev1.Affinity                           `json:"affinity"`
	Env                       []corev1.EnvVar                            `json:"env"`
	HPASpec                   *autoscalingv2.HorizontalPodAutoscalerSpec `json:"hpaSpec"`
	ImagePullPolicy           string                                     `json:"imagePullPolicy"`
	NodeSelector              map[string]string                          `json:"nodeSelector"`
	PodDisruptionBudget       *policyv1.PodDisruptionBudgetSpec          `json:"podDisruptionBudget"`
	PodAnnotations            map[string]string                          `json:"podAnnotations"`
	PriorityClassName         string                                     `json:"priorityClassName"`
	ReadinessProbe            *corev1.Probe                              `json:"readinessProbe"`
	ReplicaCount              uint32                                     `json:"replicaCount"`
	Resources                 *corev1.ResourceRequirements               `json:"resources"`
	Service                   *corev1.ServiceSpec                        `json:"service"`
	Strategy                  *appsv1.DeploymentStrategy                 `json:"strategy"`
	Tolerations               []corev1.Toleration                        `json:"tolerations"`
	ServiceAnnotations        map[string]string                          `json:"serviceAnnotations"`
	ServiceAccountAnnotations map[string]string                          `json:"serviceAccountAnnotations"`
	SecurityContext           *corev1.PodSecurityContext                 `json:"securityContext"`
	Volumes                   []corev1.Volume                            `json:"volumes"`
	VolumeMounts              []corev1.VolumeMount                       `json:"volumeMounts"`
	TopologySpreadConstraints []corev1.TopologySpreadConstraint          `json:"topologySpreadConstraints"`
	Overlays                  any                                        `json:"overlays"`
}

// istioValues is what istioctl takes as values.
type istioValues struct {
	CNI                    any                      `json:"cni"`
	Gateways               legacyGateways           `json:"gateways"`
	Global                 globalValues             `json:"global"`
	Pilot                  pilotSection             `json:"pilot"`
	Ztunnel                any                      `json:"ztunnel"`
	Telemetry              any                      `json:"telemetry"`
	SidecarInjectorWebhook any                      `json:"sidecarInjectorWebhook"`
	IstioCNI               any                      `json:"istio_cni"`
	Revision               any                      `json:"revision"`
	OwnerName              string                   `json:"ownerName"`
	MeshConfig             *meshv1alpha1.MeshConfig `json:"meshConfig"`
	Base                   any                      `json:"base"`
	IstiodRemote           any                      `json:"istiodRemote"`
	RevisionTags           []string                 `json:"revisionTags"`
	DefaultRevision        string                   `json:"defaultRevision"`
	Profile                string                   `json:"profile"`
	Platform               string                   `json:"platform"`
	CompatibilityVersion   any                      `json:"compatibilityVersion"`
	Experimental           any                      `json:"experimental"`
	GatewayClasses         any                      `json:"gatewayClasses"`
}

// istiodValues is what the chart istiod takes: the values of pilot stand at the
// top, and may still stand under pilot.
type istiodValues struct {
	istioValues
	pilotValues
	Defaults any `json:"_internal_defaults_do_not_set"`
}

type legacyGateways struct {
	Enabled         any           `json:"enabled"`
	Ingress         legacyGateway `json:"istio-ingressgateway"`
	Egress          legacyGateway `json:"istio-egressgateway"`
	SecurityContext any           `json:"securityContext"`
	SeccompProfile  any           `json:"seccompProfile"`
}

// scaling are the values by which istiod and the older gateway charts are scaled.
type scaling struct {
	AutoscaleEnabled any                          `json:"autoscaleEnabled"`
	AutoscaleMin     uint32                       `json:"autoscaleMin"`
	AutoscaleMax     uint32                       `json:"autoscaleMax"`
	ReplicaCount     uint32                       `json:"replicaCount"`
	CPU              *utilization                 `json:"cpu"`
	Memory           *utilization                 `json:"memory"`
	Resources        *corev1.ResourceRequirements `json:"resources"`
	RollingMaxSurge  any                          `json:"rollingMaxSurge"`
	RollingMaxOut    any                          `json:"rollingMaxUnavailable"`
}

type utilization struct {
	TargetAverageUtilization int32 `json:"targetAverageUtilization"`
}

type legacyGateway struct {
	scaling
	CustomService            any      `json:"customService"`
	Enabled                  any      `json:"enabled"`
	Env                      any      `json:"env"`
	Labels                   any      `json:"labels"`
	LoadBalancerIP           string   `json:"loadBalancerIP"`
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges"`
	Name                     string   `json:"name"`
	NodeSelector             any      `json:"nodeSelector"`
	PodAnnotations           any      `json:"podAnnotations"`
	AntiAffinity             any      `json:"podAntiAffinityLabelSelector"`
	AntiAffinityTerm         any      `json:"podAntiAffinityTermLabelSelector"`
	Ports                    any      `json:"ports"`
	SecretVolumes            any      `json:"secretVolumes"`
	ServiceAnnotations       any      `json:"serviceAnnotations"`
	Type                     string   `json:"type"`
	ExternalTrafficPolicy    string   `json:"externalTrafficPolicy"`
	Tolerations              any      `json:"tolerations"`
	IngressPorts             any      `json:"ingressPorts"`
	AdditionalContainers     any      `json:"additionalContainers"`
	ConfigVolumes            any      `json:"configVolumes"`
	RunAsRoot                any      `json:"runAsRoot"`
	InjectionTemplate        string   `json:"injectionTemplate"`
	ServiceAccount           any      `json:"serviceAccount"`
	IPFamilies               any      `json:"ipFamilies"`
	IPFamilyPolicy           string   `json:"ipFamilyPolicy"`
}

// pilotSection is the value pilot; what it has beyond pilotValues stands at the top
// of the chart's values anyway.
type pilotSection struct {
	pilotValues
	CNI          any      `json:"cni"`
	IstiodRemote any      `json:"istiodRemote"`
	Revision     any      `json:"revision"`
	RevisionTags []string `json:"revisionTags"`
}

type pilotValues struct {
	scaling
	Enabled                   any                               `json:"enabled"`
	AutoscaleBehavior         any                               `json:"autoscaleBehavior"`
	Image                     string                            `json:"image"`
	Hub                       string                            `json:"hub"`
	Tag                       any                               `json:"tag"`
	Variant                   string                            `json:"variant"`
	TraceSampling             float64                           `json:"traceSampling"`
	NodeSelector              any                               `json:"nodeSelector"`
	KeepaliveMaxAge           any                               `json:"keepaliveMaxServerConnectionAge"`
	DeploymentLabels          any                               `json:"deploymentLabels"`
	DeploymentAnnotations     any                               `json:"deploymentAnnotations"`
	PodLabels                 any                               `json:"podLabels"`
	ConfigMap                 any                               `json:"configMap"`
	Env                       any                               `json:"env"`
	EnvVarFrom                any                               `json:"envVarFrom"`
	Affinity                  *corev1.Affinity                  `json:"affinity"`
	Tolerations               []corev1.Toleration               `json:"tolerations"`
	PodAnnotations            any                               `json:"podAnnotations"`
	ServiceAnnotations        any                               `json:"serviceAnnotations"`
	ServiceAccountAnnotations any                               `json:"serviceAccountAnnotations"`
	InjectorAnnotations       any                               `json:"sidecarInjectorWebhookAnnotations"`
	JwksRootCA                string                            `json:"jwksResolverExtraRootCA"`
	SeccompProfile            any                               `json:"seccompProfile"`
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints"`
	TerminationGracePeriod    any                               `json:"terminationGracePeriodSeconds"`
	ExtraContainerArgs        any                               `json:"extraContainerArgs"`
	VolumeMounts              any                               `json:"volumeMounts"`
	Volumes                   any                               `json:"volumes"`
	InitContainers            any                               `json:"initContainers"`
	IPFamilies                any                               `json:"ipFamilies"`
	IPFamilyPolicy            string                            `json:"ipFamilyPolicy"`
	Taint                     any                               `json:"taint"`
	TrustedZtunnelNamespace   string                            `json:"trustedZtunnelNamespace"`
	TrustedZtunnelName        string                            `json:"trustedZtunnelName"`
	CRLConfigMapName          string                            `json:"crlConfigMapName"`
	PriorityClassName         string                            `json:"priorityClassName"`
	PodDisruptionBudget       any                               `json:"podDisruptionBudget"`
}

// globalValues are many, and charts of other projects put theirs there too: so
// only what is read has a type, and nothing is unknown.
type globalValues map[string]any

// gatewayValues is what the chart gateway takes.
type gatewayValues struct {
	Name                      string                            `json:"name"`
	Revision                  any                               `json:"revision"`
	ReplicaCount              *uint32                           `json:"replicaCount"`
	Kind                      string                            `json:"kind"`
	RBAC                      any                               `json:"rbac"`
	ServiceAccount            any                               `json:"serviceAccount"`
	PodAnnotations            any                               `json:"podAnnotations"`
	PodLabels                 any                               `json:"podLabels"`
	SecurityContext           any                               `json:"securityContext"`
	ContainerSecurityContext  any                               `json:"containerSecurityContext"`
	UnprivilegedPort          any                               `json:"unprivilegedPort"`
	Service                   any                               `json:"service"`
	Resources                 *corev1.ResourceRequirements      `json:"resources"`
	Autoscaling               gatewayScaling                    `json:"autoscaling"`
	PodDisruptionBudget       *policyv1.PodDisruptionBudgetSpec `json:"podDisruptionBudget"`
	Env                       any                               `json:"env"`
	EnvVarFrom                any                               `json:"envVarFrom"`
	Strategy                  *appsv1.DeploymentStrategy        `json:"strategy"`
	MinReadySeconds           any                               `json:"minReadySeconds"`
	ReadinessProbe            *corev1.Probe                     `json:"readinessProbe"`
	Labels                    map[string]string                 `json:"labels"`
	Annotations               any                               `json:"annotations"`
	NodeSelector              any                               `json:"nodeSelector"`
	Tolerations               []corev1.Toleration               `json:"tolerations"`
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints"`
	Affinity                  *corev1.Affinity                  `json:"affinity"`
	NetworkGateway            string                            `json:"networkGateway"`
	ImagePullSecrets          any                               `json:"imagePullSecrets"`
	ImagePullPolicy           string                            `json:"imagePullPolicy"`
	PriorityClassName         string                            `json:"priorityClassName"`
	TerminationGracePeriod    any                               `json:"terminationGracePeriodSeconds"`
	AdditionalContainers      any                               `json:"additionalContainers"`
	InitContainers            any                               `json:"initContainers"`
	Volumes                   any                               `json:"volumes"`
	VolumeMounts              any                               `json:"volumeMounts"`
	Lifecycle                 any                               `json:"lifecycle"`
	Global                    any                               `json:"global"`
	Platform                  string                            `json:"platform"`
	Profile                   string                            `json:"profile"`
	CompatibilityVersion      any                               `json:"compatibilityVersion"`
	Enabled                   any                               `json:"enabled"`
	Defaults                  any                               `json:"_internal_defaults_do_not_set"`
}

type gatewayScaling struct {
	Enabled      any    `json:"enabled"`
	MinReplicas  *int32 `json:"minReplicas"`
	MaxReplicas  *int32 `json:"maxReplicas"`
	TargetCPU    *int32 `json:"targetCPUUtilizationPercentage"`
	TargetMemory *int32 `json:"targetMemoryUtilizationPercentage"`
	Behavior     any    `json:"autoscaleBehavior"`
}

// values finds out whose Helm values a file without a kind holds, and reads them.
func (p *parser) values(document scenarios.Document, root *yaml.Node, object *Object) {
	var shape reflect.Type
	switch {
	case isIstiodValues(root):
		object.Kind, shape = KindIstiodValues, reflect.TypeFor[istiodValues]()
	case isGatewayValues(root, document.Name):
		object.Kind, shape = KindGatewayValues, reflect.TypeFor[gatewayValues]()
	default:
		object.Note = "files without kind and apiVersion"
		return
	}
	object.Name = object.Kind
	reflected{strict{parser: p, document: document}}.value(root, shape, "", nil)
}

// isIstiodValues looks for keys that no other chart is likely to have.
func isIstiodValues(root *yaml.Node) bool {
	for _, key := range []string{"pilot", "meshConfig", "autoscaleMin", "autoscaleEnabled", "sidecarInjectorWebhook", "istiodRemote", "keepaliveMaxServerConnectionAge"} {
		if lookup(root, key) != nil {
			return true
		}
	}
	global := lookup(root, "global")
	return lookup(global, "proxy") != nil || lookup(global, "istioNamespace") != nil
}

// isGatewayValues wants a key of scaling, and the word gateway in a label, the
// name or the file's name: most charts have values of these names.
func isGatewayValues(root *yaml.Node, file string) bool {
	scaled := slices.ContainsFunc([]string{"autoscaling", "replicaCount", "resources", "service"}, func(key string) bool { return lookup(root, key) != nil })
	isGateway := lookup(lookup(root, "labels"), "istio") != nil || lookup(root, "networkGateway") != nil ||
		strings.Contains(scalar(root, "name"), "gateway") || strings.Contains(strings.ToLower(file), "gateway")
	return scaled && isGateway && lookup(root, "image") == nil
}
