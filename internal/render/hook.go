package render

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// Phase says when a hook is to run.
type Phase string

// The phases of a hook. A hook without one is never run.
const (
	PhaseNone   Phase = ""
	PhaseBefore Phase = "before"
	PhaseAfter  Phase = "after"
)

const (
	hookAnnotation   = "helm.sh/hook"
	weightAnnotation = "helm.sh/hook-weight"
)

// Hook is an object that is not to be applied with the others but at a moment of their life. Every object with the
// annotation helm.sh/hook is one, wherever it comes from: a test Pod or a job that cleans up before an uninstall
// must not run because somebody committed the output of a chart.
type Hook struct {
	manifest.Object
	// Phase is before for pre-install and pre-upgrade, after for post-install and post-upgrade, and none for the rest
	// (test, rollback, delete). A hook of both phases counts as before.
	Phase Phase
	// Events are what the annotation says: "pre-install", "test".
	Events []string
	// Weight orders the hooks of a phase, the lowest first.
	Weight int
}

// hookOf returns o as a hook when it is one.
func hookOf(o manifest.Object) (Hook, bool) {
	annotations := o.GetAnnotations()
	value, ok := annotations[hookAnnotation]
	if !ok {
		return Hook{}, false
	}
	h := Hook{Object: o}
	for event := range strings.SplitSeq(value, ",") {
		event = strings.ToLower(strings.TrimSpace(event))
		h.Events = append(h.Events, event)
		switch event {
		case "pre-install", "pre-upgrade":
			h.Phase = PhaseBefore
		case "post-install", "post-upgrade":
			if h.Phase == PhaseNone {
				h.Phase = PhaseAfter
			}
		}
	}
	if w, err := strconv.Atoi(annotations[weightAnnotation]); err == nil {
		h.Weight = w
	}
	return h, true
}

// NotRun is the sentence for people about a hook that is not run.
func (h Hook) NotRun() string {
	from := ""
	if h.Origin != "" {
		from = " of " + h.Origin
	}
	return fmt.Sprintf("the hook %s%s (%s) is not run", h.Ref(), from, strings.Join(h.Events, ", "))
}
