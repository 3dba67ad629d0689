package apply

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// tool is another program that applies objects, and how it leaves its traces on them.
type tool struct {
	name string
	// managers are the field managers that hold what it has applied.
	managers []string
	// annotations and labels are those by which it finds what it has applied.
	annotations, labels []string
	// leftover says what it still holds elsewhere, if anything: the advice for a person who moves away from it.
	leftover string
}

// Annotations and labels of other tools that are looked at by themselves.
const (
	lastApplied   = "kubectl.kubernetes.io/last-applied-configuration"
	helmRelease   = "meta.helm.sh/release-name"
	argoTracking  = "argocd.argoproj.io/tracking-id"
	instanceLabel = "app.kubernetes.io/instance"
)

// tools are the programs that Sengu takes over from. Managers that somebody used by hand for one change, such as
// kubectl-edit or kubectl-rollout, are not among them: what was set with those is not in Git and should not vanish.
var tools = []tool{
	{
		name:        "kubectl",
		managers:    []string{"kubectl", "kubectl-client-side-apply", "kubectl-create", "kubectl-replace", "before-first-apply"},
		annotations: []string{lastApplied},
	},
	{
		name:        "Helm",
		managers:    []string{"helm"},
		annotations: []string{helmRelease, "meta.helm.sh/release-namespace"},
		leftover:    "`helm uninstall` would still delete it: delete the Secrets of the release (type helm.sh/release.v1) instead",
	},
	{
		name:        "Argo CD",
		managers:    []string{"argocd-controller", "argocd-application-controller"},
		annotations: []string{argoTracking, "argocd.argoproj.io/installation-id"},
		leftover:    "its Application would apply it again: delete the Application with --cascade=orphan",
	},
	{
		name:     "Flux",
		managers: []string{"kustomize-controller", "helm-controller"},
		labels: []string{
			"kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace",
			"helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace",
		},
		leftover: "its Kustomization or HelmRelease would apply it again: set prune to false, or suspend it, and then delete it",
	},
}

// traces are what the tools have left on one object.
type traces struct {
	tools               []string
	advice              []string
	annotations, labels []string
}

// tracesOn finds what tools have left on u.
func tracesOn(u *unstructured.Unstructured) traces {
	var found traces
	annotations, labels := u.GetAnnotations(), u.GetLabels()
	for _, t := range tools {
		here := false
		for _, e := range u.GetManagedFields() {
			here = here || (slices.Contains(t.managers, e.Manager) && e.Subresource == "")
		}
		for _, name := range t.annotations {
			if _, ok := annotations[name]; ok {
				here, found.annotations = true, append(found.annotations, name)
			}
		}
		for _, name := range t.labels {
			if _, ok := labels[name]; ok {
				here, found.labels = true, append(found.labels, name)
			}
		}
		if !here {
			continue
		}
		found.tools = append(found.tools, t.name)
		if t.leftover != "" {
			found.advice = append(found.advice, t.name+": "+t.leftover)
		}
		// Without an annotation Argo CD tracks by this label, which otherwise is everybody's.
		_, tracked := annotations[argoTracking]
		if _, ok := labels[instanceLabel]; ok && t.name == "Argo CD" && !tracked {
			found.labels = append(found.labels, instanceLabel)
		}
	}
	return found
}

// applier says whether an entry of managedFields holds what a tool has applied.
func applier(e entry) bool {
	return e.subresource == "" && slices.ContainsFunc(tools, func(t tool) bool { return slices.Contains(t.managers, e.manager) })
}
