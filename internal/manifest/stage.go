package manifest

import "k8s.io/apimachinery/pkg/runtime/schema"

// The stages of a wave. Objects of one stage do not need each other and are applied in parallel.
const (
	StageFoundation = iota // namespaces and custom resource definitions
	StageConfig            // policies, access, configuration, storage, and the names by which workloads find each other
	StageWorkload          // what runs, and what leads to it by such a name
	StageRoute             // what scales or guards what runs, or serves an API by it
	StageWebhook           // what could refuse everything above while it does not run
	StageCustom            // custom resources, whose controllers may be among the workloads
)

var stages = map[schema.GroupKind]int{
	{Kind: "Namespace"}: StageFoundation,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: StageFoundation,

	{Kind: "ServiceAccount"}:                           StageConfig,
	{Kind: "Secret"}:                                   StageConfig,
	{Kind: "ConfigMap"}:                                StageConfig,
	{Kind: "ResourceQuota"}:                            StageConfig,
	{Kind: "LimitRange"}:                               StageConfig,
	{Kind: "PersistentVolume"}:                         StageConfig,
	{Kind: "PersistentVolumeClaim"}:                    StageConfig,
	{Kind: "Node"}:                                     StageConfig,
	{Kind: "Service"}:                                  StageConfig,
	{Kind: "Endpoints"}:                                StageConfig,
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}: StageConfig,

	{Kind: "Pod"}:                                   StageWorkload,
	{Kind: "ReplicationController"}:                 StageWorkload,
	{Group: "apps", Kind: "ReplicaSet"}:             StageWorkload,
	{Group: "apps", Kind: "Deployment"}:             StageWorkload,
	{Group: "apps", Kind: "StatefulSet"}:            StageWorkload,
	{Group: "apps", Kind: "DaemonSet"}:              StageWorkload,
	{Group: "batch", Kind: "Job"}:                   StageWorkload,
	{Group: "batch", Kind: "CronJob"}:               StageWorkload,
	{Group: "argoproj.io", Kind: "Rollout"}:         StageWorkload,
	{Group: "serving.knative.dev", Kind: "Service"}: StageWorkload,
	{Group: "networking.k8s.io", Kind: "Ingress"}:   StageWorkload,
}

// groupStages holds the stage of the kinds of a group that are not listed by themselves.
var groupStages = map[string]int{
	"rbac.authorization.k8s.io":    StageConfig,
	"networking.k8s.io":            StageConfig,
	"policy":                       StageConfig,
	"scheduling.k8s.io":            StageConfig,
	"storage.k8s.io":               StageConfig,
	"snapshot.storage.k8s.io":      StageConfig,
	"node.k8s.io":                  StageConfig,
	"resource.k8s.io":              StageConfig,
	"coordination.k8s.io":          StageConfig,
	"flowcontrol.apiserver.k8s.io": StageConfig,
	"certificates.k8s.io":          StageConfig,
	"autoscaling":                  StageRoute,
	"apiregistration.k8s.io":       StageRoute,
	"admissionregistration.k8s.io": StageWebhook,
	"":                             StageConfig,
	"apps":                         StageWorkload,
	"batch":                        StageWorkload,
}

// Stage returns the place of a kind within its wave, from [StageFoundation] on. Pruning goes the other way.
func Stage(gk schema.GroupKind) int {
	if stage, ok := stages[gk]; ok {
		return stage
	}
	if stage, ok := groupStages[gk.Group]; ok {
		return stage
	}
	return StageCustom
}
