package apply

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// maxSentence bounds what an API server's own words may add, in bytes.
const maxSentence = 600

// sentence is what is told about an object.
func sentence(ref manifest.Ref, reason string) string { return ref.String() + " " + reason }

// fail turns the error of a change into a Failure.
func (w *writer) fail(c Change, err error) *Failure {
	f := &Failure{Ref: c.Ref, Retryable: retryable(err)}
	reason, conflict := w.explain(c, err)
	f.Sentence, f.Conflict = sentence(c.Ref, reason), conflict
	if conflict {
		f.Retryable = false
	}
	return f
}

// retryable says whether the same request may succeed later without anybody doing anything.
func retryable(err error) bool {
	var unknown *kube.UnknownKindError
	switch {
	case errors.As(err, &unknown), kube.IsNotServed(err):
		return true // the CRD may be about to be served
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsForbidden(err) && !terminating(err),
		strings.Contains(err.Error(), "failed to create typed patch object"), // which is told as an internal error
		apierrors.IsMethodNotSupported(err), apierrors.IsRequestEntityTooLargeError(err), apierrors.IsUnsupportedMediaType(err):
		return false
	default:
		return true
	}
}

// explain ends the sentence about an object that could not be written. conflict says that somebody else is in the way.
func (w *writer) explain(c Change, err error) (reason string, conflict bool) {
	verb := "could not be applied"
	if c.Action == Delete {
		verb = "could not be deleted"
	}
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, context.Canceled):
		return verb + ": it was interrupted", false
	case errors.Is(err, context.DeadlineExceeded):
		return verb + ": the API server did not answer in time", false
	case !errors.As(err, &status):
		return verb + ": " + err.Error(), false
	}
	if managers := conflicting(err); len(managers) > 0 {
		return verb + ": " + strings.Join(managers, "; ") + ": take it over with `sengu adopt`, or have the field ignored", true
	}
	if fields := immutable(err); len(fields) > 0 {
		return fmt.Sprintf("could not be changed: %s cannot be changed on an object that exists: set the annotation %s: %s to have it deleted and made again, or give it another name",
			strings.Join(fields, ", "), manifest.AnnotationApply, manifest.ModeReplace), false
	}
	if terminating(err) {
		return verb + ": its namespace is being deleted", false
	}
	if isNamespaceMissing(err, c.Ref) {
		return fmt.Sprintf("%s: there is no namespace %s: put it into Git, or set createNamespace in sengu.yaml", verb, c.Ref.Namespace), false
	}
	if apierrors.IsForbidden(err) && w.As.User() != "" && strings.Contains(err.Error(), "impersonate") {
		return fmt.Sprintf("%s: Sengu may not act as the service account %s/%s", verb, w.As.Namespace, w.As.Name), false
	}
	return verb + ": " + spoken(c.Ref, status.Status()), false
}

func causes(err error) []metav1.StatusCause {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	return status.Status().Details.Causes
}

// quoted finds the name of the manager in a cause of a conflict.
var quoted = regexp.MustCompile(`^conflict with "([^"]*)"`)

// conflicting says which manager holds which fields that were to be applied.
func conflicting(err error) []string {
	var order []string
	fields := map[string][]string{}
	for _, cause := range causes(err) {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		manager := "another manager"
		if found := quoted.FindStringSubmatch(cause.Message); found != nil {
			manager = found[1]
		}
		if fields[manager] == nil {
			order = append(order, manager)
		}
		fields[manager] = append(fields[manager], strings.TrimPrefix(cause.Field, "."))
	}
	told := make([]string, 0, len(order))
	for _, manager := range order {
		told = append(told, few(fields[manager])+" is set by "+manager)
	}
	return told
}

// immutable names the fields that err says cannot be changed.
func immutable(err error) []string {
	if !apierrors.IsInvalid(err) {
		return nil
	}
	var fields []string
	for _, cause := range causes(err) {
		message := strings.ToLower(cause.Message)
		told := strings.Contains(message, "immutable") || strings.Contains(message, "may not be changed") ||
			strings.Contains(message, "may not change once set") || strings.Contains(message, "updates to statefulset spec for fields other than")
		if told && cause.Field != "metadata.uid" && !slices.Contains(fields, cause.Field) {
			fields = append(fields, cause.Field)
		}
	}
	return fields
}

// few names up to three of fields.
func few(fields []string) string {
	if len(fields) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(fields[:3], ", "), len(fields)-3)
	}
	return strings.Join(fields, ", ")
}

// terminating says whether a write was refused because the namespace is on its way out.
func terminating(err error) bool {
	return apierrors.HasStatusCause(err, "NamespaceTerminating")
}

func isNamespaceMissing(err error, ref manifest.Ref) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsNotFound(err) {
		return false
	}
	d := status.Status().Details
	return d != nil && d.Kind == "namespaces" && d.Name == ref.Namespace
}

// refuser finds who refused at admission.
var refuser = regexp.MustCompile(`(admission webhook "[^"]*"|ValidatingAdmissionPolicy '[^']*'(?: with binding '[^']*')?) denied (?:the )?request`)

// spoken is what the API server says, cut to a bearable length. What it says about a Secret may hold the Secret's
// values, so of that only the fields, the kinds of problems and the names of who refused are told.
func spoken(ref manifest.Ref, status metav1.Status) string {
	if ref.Group != "" || ref.Kind != "Secret" {
		text := strings.Join(strings.Fields(status.Message), " ")
		if len(text) > maxSentence {
			text = strings.ToValidUTF8(text[:maxSentence], "") + "…"
		}
		return text
	}
	if who := refuser.FindStringSubmatch(status.Message); who != nil {
		return who[1] + " refuses it (what it says is not shown, because it may hold values of the Secret)"
	}
	var problems []string
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			problem := string(cause.Type)
			if cause.Field != "" {
				problem = cause.Field + ": " + problem
			}
			problems = append(problems, problem)
		}
	}
	if status.Code == 403 {
		return "the API server forbids it"
	}
	reason := string(status.Reason)
	if reason == "" {
		reason = fmt.Sprintf("status %d", status.Code)
	}
	if len(problems) == 0 {
		return "the API server answers " + reason
	}
	return "the API server answers " + reason + " (" + few(problems) + ")"
}
