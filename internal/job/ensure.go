package job

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/kube"
)

// Ensure makes the Job of s unless it is there, and returns its state. It may be called again and again: it never makes
// a Job twice while the first one is there, and never at all once s carries the UID that it was recorded with. A Job of
// that name which is not the one of s is refused with ErrForeign. The error is a *Refusal, or that of Build.
func Ensure(ctx context.Context, conn *kube.Conn, as kube.As, s Spec) (State, error) {
	found, err := ensure(ctx, conn, as, s)
	if err != nil {
		return State{}, err
	}
	return found.explained(ctx, conn, as, s)
}

// found is what ensure found, or made.
type found struct {
	object *unstructured.Unstructured // nil if it is gone
	uid    string                     // of the one that is gone
	made   bool
}

func ensure(ctx context.Context, conn *kube.Conn, as kube.As, s Spec) (found, error) {
	if s.UID != "" {
		return recorded(ctx, conn, as, s)
	}
	u, err := Build(s)
	if err != nil {
		return found{}, err
	}
	body, err := json.Marshal(u)
	if err != nil {
		return found{}, fmt.Errorf("write %s: %w", s.ref(), err)
	}
	answer, err := conn.Do(ctx, kube.Request{
		Verb: "create", Path: jobs.Path(s.Namespace, ""), Body: body, As: as, Flow: s.Owner.UID,
		Query: url.Values{"fieldManager": {s.Owner.Manager()}, "fieldValidation": {"Strict"}},
	})
	switch {
	case apierrors.IsAlreadyExists(err):
		return there(ctx, conn, as, s)
	case err != nil:
		return found{}, s.refuse("made", as, err)
	}
	if u, err = kube.Decode(answer); err != nil {
		return found{}, s.refuse("made", as, err)
	}
	return found{object: u, made: true}, nil
}

// there reads the Job that turned out to be there: ours, if a crash kept it from being recorded. One that has gone
// meanwhile is not made again, because it may have been ours and done its work.
func there(ctx context.Context, conn *kube.Conn, as kube.As, s Spec) (found, error) {
	u, err := conn.Get(ctx, jobs, s.Namespace, s.Name, as)
	switch {
	case apierrors.IsNotFound(err):
		return found{}, nil
	case err != nil:
		return found{}, s.refuse("read", as, err)
	}
	if reason := s.foreign(u); reason != "" {
		return found{}, s.refuseForeign(reason)
	}
	return found{object: u}, nil
}

// recorded reads a Job that was recorded. If it is not there, or another one is, it was deleted.
func recorded(ctx context.Context, conn *kube.Conn, as kube.As, s Spec) (found, error) {
	if err := s.check(); err != nil {
		return found{}, err
	}
	u, err := conn.Get(ctx, jobs, s.Namespace, s.Name, as)
	switch {
	case apierrors.IsNotFound(err):
		return found{uid: s.UID}, nil
	case err != nil:
		return found{}, s.refuse("read", as, err)
	case string(u.GetUID()) != s.UID:
		return found{uid: s.UID}, nil
	default:
		return found{object: u}, nil
	}
}

// explained returns the state, with what the Pods tell of why a Job has failed.
func (f found) explained(ctx context.Context, conn *kube.Conn, as kube.As, s Spec) (State, error) {
	if f.object == nil {
		return gone(State{}, f.uid, time.Time{}), nil
	}
	state, err := stateOf(f.object)
	if err != nil {
		return State{}, &Refusal{Sentence: err.Error(), err: err}
	}
	if state.Phase == Failed {
		state.Message += causeOf(ctx, conn, as, s.Namespace, s.Name, state)
	}
	return state, nil
}

// causeOf says what the Pods of a failed Job died of, as the rest of a sentence. It is empty where they tell nothing or
// cannot be asked: that is no trouble of its own.
func causeOf(ctx context.Context, conn *kube.Conn, as kube.As, namespace, name string, s State) string {
	all, err := podsOf(ctx, conn, as, namespace, name)
	if err != nil {
		return ""
	}
	var failed []corev1.Pod
	for i := range all {
		if madeBy(&all[i], s.UID) && all[i].Status.Phase != corev1.PodSucceeded {
			failed = append(failed, all[i])
		}
	}
	if reason, ok := health.Pods(failed, s.Finished); ok {
		return "; " + reason
	}
	return ""
}
