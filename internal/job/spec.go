package job

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// Labels and annotations of the Jobs of Releases.
const (
	// Label is on every Job of a Release and on its Pods, so that one watch finds them all. Its value is the name of
	// the App. It is no proof of anything.
	Label = "sengu.dev/job"
	// AnnotationRelease, AnnotationEnvironment and AnnotationStep name what the Job was made for.
	AnnotationRelease     = "sengu.dev/release"
	AnnotationEnvironment = "sengu.dev/environment"
	AnnotationStep        = "sengu.dev/step"
	// AnnotationMadeFor names the App by its UID and the Job itself, so that a copy of a Job is no Job of ours.
	AnnotationMadeFor = "sengu.dev/job-of"
)

// Container is a Job that is written in a few words.
type Container struct {
	// Image to run.
	Image string
	// Command and Args, as of a container.
	Command, Args []string
	// Env are its environment variables, which may come from Secrets.
	Env []corev1.EnvVar
	// ServiceAccountName that its Pod runs as: the namespace's default one if empty.
	ServiceAccountName string
}

// Spec says which Job is to run, for whom and where.
type Spec struct {
	// Name of the Job: what the function Name returns.
	Name string
	// Namespace in the target cluster.
	Namespace string
	// UID that the Job was recorded with, empty before. A Job that was recorded is never made again.
	UID string

	// Owner is the App.
	Owner manifest.Owner
	// Release, Environment and Step that it runs for. The Release lives in the namespace of the Owner.
	Release, Environment, Step string

	// Template is a Job of the service's manifests, or empty. It is not changed.
	Template manifest.Object
	// Container is what runs without a Template.
	Container Container
	// Timeout is when Kubernetes ends it, in whole seconds rounded up: the template's, or never, if zero.
	Timeout time.Duration
	// BackoffLimit is how often a failed Pod is tried again: the template's if nil, and never without a template.
	BackoffLimit *int32
}

// ref names the Job to people.
func (s Spec) ref() string { return "Job " + s.Namespace + "/" + s.Name }

// check refuses what no Job can be made of. It says nothing of the template.
func (s Spec) check() error {
	switch {
	case len(validation.IsDNS1123Label(s.Name)) > 0:
		return fmt.Errorf("the Job of step %s has no valid name", s.Step)
	case len(validation.IsDNS1123Label(s.Namespace)) > 0:
		return fmt.Errorf("the Job of step %s has no valid namespace", s.Step)
	case s.Owner.UID == "" || s.Owner.Name == "" || s.Owner.Namespace == "" || s.Release == "" || s.Step == "":
		return fmt.Errorf("%s does not say which App, Release and step it is for", s.ref())
	case s.Timeout < 0:
		return fmt.Errorf("step %s: timeout must not be negative", s.Step)
	case s.BackoffLimit != nil && *s.BackoffLimit < 0:
		return fmt.Errorf("step %s: the number of retries must not be negative", s.Step)
	default:
		return nil
	}
}

// madeFor is the value of AnnotationMadeFor.
func (s Spec) madeFor() string {
	return s.Owner.UID + " " + s.Owner.Namespace + "/" + s.Owner.Name + " " + s.Namespace + "/" + s.Name
}

// foreign says why u is not the Job of s, as what ends a sentence about it, and is empty if it is.
func (s Spec) foreign(u *unstructured.Unstructured) string {
	annotations := u.GetAnnotations()
	switch {
	case annotations[AnnotationMadeFor] == "":
		return "was not made by Sengu"
	case annotations[AnnotationMadeFor] != s.madeFor():
		return "was made for another App (or an earlier one of the same name), or is a copy of such a Job"
	case annotations[AnnotationRelease] != s.Release:
		return fmt.Sprintf("was made for Release %q, not for %q", annotations[AnnotationRelease], s.Release)
	case annotations[AnnotationEnvironment] != s.Environment || annotations[AnnotationStep] != s.Step:
		return fmt.Sprintf("was made for step %q in environment %q", annotations[AnnotationStep], annotations[AnnotationEnvironment])
	default:
		return ""
	}
}

// errTemplate is what every refusal of a template wraps.
var errTemplate = errors.New("it cannot be run as a step")

// refuseTemplate is a sentence about a template, which names its file.
func (s Spec) refuseTemplate(format string, args ...any) error {
	where := "the template of step " + s.Step
	if s.Template.Unstructured != nil {
		where = s.Template.Ref().String()
		if s.Template.Origin != "" {
			where += " (" + s.Template.Origin + ")"
		}
	}
	return fmt.Errorf("%s: %w: %s", where, errTemplate, fmt.Sprintf(format, args...))
}
