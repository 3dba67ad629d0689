package health

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// Status is the health of one object.
type Status struct {
	// Status is one of the words of the API.
	Status v1alpha1.HealthStatus
	// Message says why, to be shown behind the object and a colon: "1 of 2 Pods are available". It may be empty, and
	// an object that is Healthy may have one too.
	Message string
}

// maxMessage is the longest message in bytes. The whole of it is in the object.
const maxMessage = 300

// judges holds the kinds that are not judged by their conditions alone.
var judges = map[schema.GroupKind]func(object) Status{
	{Kind: "Pod"}:                                                     pod,
	{Kind: "ReplicationController"}:                                   replicaSet,
	{Kind: "Service"}:                                                 service,
	{Kind: "PersistentVolumeClaim"}:                                   claim,
	{Kind: "PersistentVolume"}:                                        volume,
	{Kind: "Namespace"}:                                               namespace,
	{Group: "apps", Kind: "Deployment"}:                               deployment,
	{Group: "apps", Kind: "StatefulSet"}:                              statefulSet,
	{Group: "apps", Kind: "DaemonSet"}:                                daemonSet,
	{Group: "apps", Kind: "ReplicaSet"}:                               replicaSet,
	{Group: "batch", Kind: "Job"}:                                     job,
	{Group: "batch", Kind: "CronJob"}:                                 cronJob,
	{Group: "networking.k8s.io", Kind: "Ingress"}:                     ingress,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:           autoscaler,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:             apiService,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: definition,

	{Group: "gateway.networking.k8s.io", Kind: "GatewayClass"}: gatewayClass,
	{Group: "gateway.networking.k8s.io", Kind: "Gateway"}:      gateway,
	{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}:    route,
	{Group: "gateway.networking.k8s.io", Kind: "GRPCRoute"}:    route,
	{Group: "gateway.networking.k8s.io", Kind: "TLSRoute"}:     route,
	{Group: "gateway.networking.k8s.io", Kind: "TCPRoute"}:     route,
	{Group: "gateway.networking.k8s.io", Kind: "UDPRoute"}:     route,

	{Group: "argoproj.io", Kind: "Rollout"}:      rollout,
	{Group: "argoproj.io", Kind: "AnalysisRun"}:  analysisRun,
	{Group: "flagger.app", Kind: "Canary"}:       canary,
	{Group: "keda.sh", Kind: "ScaledObject"}:     scaledObject,
	{Group: "keda.sh", Kind: "ScaledJob"}:        scaledObject,
	{Group: "bitnami.com", Kind: "SealedSecret"}: sealedSecret,

	{Group: "cert-manager.io", Kind: "Certificate"}:   certificate,
	{Group: "cert-manager.io", Kind: "Issuer"}:        readyOrBroken,
	{Group: "cert-manager.io", Kind: "ClusterIssuer"}: readyOrBroken,

	{Group: "external-secrets.io", Kind: "ExternalSecret"}:        readyOrBroken,
	{Group: "external-secrets.io", Kind: "ClusterExternalSecret"}: readyOrBroken,
	{Group: "external-secrets.io", Kind: "SecretStore"}:           readyOrBroken,
	{Group: "external-secrets.io", Kind: "ClusterSecretStore"}:    readyOrBroken,
}

// Of judges u as it stands. An object on its way out is Progressing; an object whose controller has not seen its
// latest change is too. A kind that is not known is judged by its conditions Stalled, Failed, Reconciling, Ready and
// Available, and is Healthy if it has none of them.
func Of(u *unstructured.Unstructured) Status {
	o := object{u}
	var s Status
	switch judge, known := judges[u.GroupVersionKind().GroupKind()]; {
	case o.deleting():
		s = deleting(o)
	case known:
		s = judge(o)
	case u.Object["status"] == nil:
		s = healthy()
	default:
		s = byConditions(o)
	}
	s.Message = oneLine(s.Message)
	return s
}

// severity orders the words from good to bad. What is known to be bad is worse than what is not known.
var severity = map[v1alpha1.HealthStatus]int{
	v1alpha1.Healthy:       0,
	v1alpha1.Suspended:     1,
	v1alpha1.Progressing:   2,
	v1alpha1.HealthUnknown: 3,
	v1alpha1.Missing:       4,
	v1alpha1.Degraded:      5,
}

// Worst sums up the health of several objects: Healthy, then Suspended, Progressing, Unknown, Missing and Degraded,
// which is the worst. It is Healthy if there are none; a word that is not of the API counts as Unknown.
func Worst(all []Status) v1alpha1.HealthStatus {
	worst := v1alpha1.Healthy
	for _, s := range all {
		word := s.Status
		if _, known := severity[word]; !known {
			word = v1alpha1.HealthUnknown
		}
		if severity[word] > severity[worst] {
			worst = word
		}
	}
	return worst
}

func healthy() Status { return Status{Status: v1alpha1.Healthy} }

func progressing(format string, args ...any) Status {
	return Status{v1alpha1.Progressing, fmt.Sprintf(format, args...)}
}

func degraded(format string, args ...any) Status {
	return Status{v1alpha1.Degraded, fmt.Sprintf(format, args...)}
}

func suspended(format string, args ...any) Status {
	return Status{v1alpha1.Suspended, fmt.Sprintf(format, args...)}
}

func unknown(format string, args ...any) Status {
	return Status{v1alpha1.HealthUnknown, fmt.Sprintf(format, args...)}
}

func deleting(o object) Status {
	if finalizers := o.GetFinalizers(); len(finalizers) > 0 {
		return progressing("is being deleted and waits for the finalizer %s", strings.Join(finalizers, ", "))
	}
	return progressing("is being deleted")
}

// ofKstatus judges o by the kstatus library, whose words are mapped to ours.
func ofKstatus(o object) Status {
	result, err := status.Compute(o.Unstructured)
	if err != nil {
		return unknown("has a status that cannot be read: %v", err)
	}
	switch result.Status {
	case status.CurrentStatus:
		return healthy()
	case status.FailedStatus:
		return degraded("%s", result.Message)
	case status.InProgressStatus, status.TerminatingStatus:
		return progressing("%s", result.Message)
	default:
		return unknown("%s", result.Message)
	}
}

// byConditions judges a kind of which nothing else is known.
func byConditions(o object) Status {
	for _, kind := range []string{"Stalled", "Failed", "Degraded"} {
		if c, ok := o.condition(kind); ok && c.isTrue() {
			return degraded("%s", c.because())
		}
	}
	if c, ok := o.condition("Synced"); ok && c.isFalse() && c.reason == "ReconcileError" {
		return degraded("%s", c.because())
	}
	if s := ofKstatus(o); s.Status != v1alpha1.Healthy {
		if c, ok := o.condition("Ready"); ok && !c.isTrue() && s.Status == v1alpha1.Progressing && !o.stale() {
			return progressing("%s", c.because())
		}
		return s
	}
	if _, ready := o.condition("Ready"); ready {
		return healthy()
	}
	if c, ok := o.condition("Available"); ok && !c.isTrue() {
		return progressing("%s", c.because())
	}
	return healthy()
}

// oneLine makes a message fit for a table and a condition: no line breaks or control characters, and not too long.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= maxMessage {
		return s
	}
	cut := maxMessage - len("…")
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not within a character
		cut--
	}
	return s[:cut] + "…"
}
