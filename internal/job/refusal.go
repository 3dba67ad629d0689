package job

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sengu-dev/sengu/internal/kube"
)

// ErrForeign is what a Refusal wraps when there is a Job of that name which was not made for this Release and step.
var ErrForeign = errors.New("the Job is another one")

// Refusal says why a Job could not be made, read or stopped.
type Refusal struct {
	// Sentence names the Job and the way out.
	Sentence string
	// Temporary says that the same request may succeed later without anybody doing anything.
	Temporary bool
	// Unmade says that the API server has refused to make the Job: there is none by this request.
	Unmade bool

	err error
}

func (r *Refusal) Error() string { return r.Sentence }

// Unwrap returns the error of the API server, or ErrForeign.
func (r *Refusal) Unwrap() error { return r.err }

// refuseForeign refuses a Job that is there under the name of ours.
func (s Spec) refuseForeign(reason string) *Refusal {
	return &Refusal{
		Sentence: fmt.Sprintf("%s is there already and %s: it is left alone; delete it if nobody needs it, and step %s makes its own", s.ref(), reason, s.Step),
		err:      ErrForeign,
	}
}

// refuse turns the error of a request into a Refusal. verb says what could not be done: "made".
func (s Spec) refuse(verb string, as kube.As, err error) *Refusal {
	reason, temporary := explain(s.Namespace, verb, as, err)
	return &Refusal{
		Sentence: fmt.Sprintf("%s could not be %s: %s", s.ref(), verb, reason), Temporary: temporary, Unmade: verb == "made" && definite(err), err: err,
	}
}

// definite reports whether the API server has answered that it did not do what it was asked for.
func definite(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsInvalid(err) || apierrors.IsTooManyRequests(err)
}

// may says what is missing to whoever does not have the right to what verb says.
var may = map[string]string{"made": "create", "read": "get", "stopped": "delete"}

// explain ends the sentence about a request that failed, and says whether it may succeed later by itself.
func explain(namespace, verb string, as kube.As, err error) (reason string, temporary bool) {
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, context.Canceled):
		return "it was interrupted", true
	case errors.Is(err, context.DeadlineExceeded):
		return "the API server did not answer in time", true
	case !errors.As(err, &status):
		return err.Error(), true
	case apierrors.HasStatusCause(err, "NamespaceTerminating"):
		return "its namespace is being deleted", true
	case namespaceMissing(err, namespace):
		return fmt.Sprintf("there is no namespace %s: put it into Git, or set createNamespace in sengu.yaml", namespace), true
	}
	said := cut(strings.Join(strings.Fields(status.Status().Message), " "))
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(said, "exceeded quota"):
		return said, true
	case apierrors.IsForbidden(err) && as.User() != "" && strings.Contains(said, "impersonate"):
		return fmt.Sprintf("Sengu may not act as the service account %s/%s", as.Namespace, as.Name), false
	case apierrors.IsForbidden(err) && as.User() != "" && strings.Contains(said, "cannot "):
		return fmt.Sprintf("the service account %s/%s may not %s Jobs in namespace %s: give it a Role that allows %s on jobs of the group batch",
			as.Namespace, as.Name, may[verb], namespace, may[verb]), false
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsForbidden(err), apierrors.IsRequestEntityTooLargeError(err):
		return said, false
	default:
		return said, true
	}
}

func namespaceMissing(err error, namespace string) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsNotFound(err) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Kind == "namespaces" && d.Name == namespace
}
