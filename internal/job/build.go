package job

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// inlineTTL is how long a Job that has no template stays after its end, in seconds.
const inlineTTL = int64(24 * time.Hour / time.Second)

// generated are the labels by which the Job controller ties Pods to a Job. Left on a template, they would tie the Pods
// of one run to another.
var generated = []string{"controller-uid", "job-name", batchv1.ControllerUidLabel, batchv1.JobNameLabel}

// steering are annotations by which other tools, and Sengu itself, decide to delete an object, to make it again, or to
// take it for one of theirs. A Job of a Release is nobody's but its own.
var steering = []string{
	"helm.sh/", "meta.helm.sh/", "argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/",
	"kubectl.kubernetes.io/last-applied-configuration", "batch.kubernetes.io/", "sengu.dev/",
}

// Build returns the Job of s as it is to be created. Of a template everything stays that says what runs; what says who
// it was, what became of it, or how another tool handles it is left out. A template that is no Job, or is for another
// namespace, is refused with the file that it comes from.
func Build(s Spec) (*unstructured.Unstructured, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var source *unstructured.Unstructured
	var err error
	switch {
	case s.Template.Unstructured != nil && s.Container.Image != "":
		return nil, fmt.Errorf("step %s has both a Job of the manifests and an image: leave out one", s.Step)
	case s.Template.Unstructured != nil:
		source, err = s.fromTemplate()
	case s.Container.Image != "":
		source, err = s.fromContainer()
	default:
		return nil, fmt.Errorf("step %s has neither a Job of the manifests nor an image", s.Step)
	}
	if err != nil {
		return nil, err
	}
	spec := child(source.Object, "spec")
	if s.Timeout > 0 {
		spec["activeDeadlineSeconds"] = int64((s.Timeout + time.Second - 1) / time.Second)
	}
	if s.BackoffLimit != nil {
		spec["backoffLimit"] = int64(*s.BackoffLimit)
	}
	template := child(spec, "template")
	pod := child(template, "spec")
	if policy, _ := pod["restartPolicy"].(string); policy == "" {
		pod["restartPolicy"] = string(corev1.RestartPolicyNever)
	}
	child(child(template, "metadata"), "labels")[Label] = labelValue(s.Owner.Name)
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": batchv1.SchemeGroupVersion.String(), "kind": "Job",
		"metadata": s.metadata(source), "spec": spec,
	}}, nil
}

// metadata keeps nothing of the template's but its labels and its harmless annotations.
func (s Spec) metadata(source *unstructured.Unstructured) map[string]any {
	meta := child(source.Object, "metadata")
	labels, annotations := child(meta, "labels"), child(meta, "annotations")
	labels[Label] = labelValue(s.Owner.Name)
	for name, value := range map[string]string{
		AnnotationRelease: s.Release, AnnotationEnvironment: s.Environment, AnnotationStep: s.Step, AnnotationMadeFor: s.madeFor(),
	} {
		annotations[name] = value
	}
	return map[string]any{"name": s.Name, "namespace": s.Namespace, "labels": labels, "annotations": annotations}
}

func (s Spec) fromTemplate() (*unstructured.Unstructured, error) {
	t := s.Template
	if gvk := t.GroupVersionKind(); gvk != jobs.Kind {
		return nil, s.refuseTemplate("its apiVersion and kind are %s %s, and must be batch/v1 Job", gvk.GroupVersion(), gvk.Kind)
	}
	if own := t.GetNamespace(); own != "" && own != s.Namespace {
		return nil, s.refuseTemplate("it is for the namespace %s, and the step runs in %s: leave its namespace out", own, s.Namespace)
	}
	u := t.DeepCopy()
	spec, ok := u.Object["spec"].(map[string]any)
	if !ok {
		return nil, s.refuseTemplate("it has no spec")
	}
	template, ok := spec["template"].(map[string]any)
	if !ok {
		return nil, s.refuseTemplate("it has no spec.template")
	}
	if _, ok := template["spec"].(map[string]any); !ok {
		return nil, s.refuseTemplate("it has no spec.template.spec")
	}
	// A suspended Job never ends. Where a queue decides when it starts, the queue suspends it by itself.
	for _, field := range []string{"selector", "manualSelector", "suspend"} {
		delete(spec, field)
	}
	clean(u.Object)
	clean(template)
	return u, nil
}

// clean takes generated labels and steering annotations off an object or a template of one.
func clean(object map[string]any) {
	meta := child(object, "metadata")
	labels, annotations := child(meta, "labels"), child(meta, "annotations")
	for _, name := range generated {
		delete(labels, name)
	}
	delete(labels, manifest.LabelApp)
	for name := range annotations {
		for _, prefix := range steering {
			if strings.HasPrefix(name, prefix) {
				delete(annotations, name)
			}
		}
	}
}

func (s Spec) fromContainer() (*unstructured.Unstructured, error) {
	c := s.Container
	job := batchv1.Job{Spec: batchv1.JobSpec{
		BackoffLimit: new(int32(0)),
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			ServiceAccountName: c.ServiceAccountName,
			Containers:         []corev1.Container{{Name: "job", Image: c.Image, Command: c.Command, Args: c.Args, Env: c.Env}},
		}},
	}}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&job)
	if err != nil {
		return nil, fmt.Errorf("step %s: write its Job: %w", s.Step, err)
	}
	child(object, "spec")["ttlSecondsAfterFinished"] = inlineTTL
	return &unstructured.Unstructured{Object: object}, nil
}

// child returns the map at key of m, made if there is none.
func child(m map[string]any, key string) map[string]any {
	c, ok := m[key].(map[string]any)
	if !ok {
		c = map[string]any{}
		m[key] = c
	}
	return c
}
