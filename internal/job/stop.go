package job

import (
	"context"
	"encoding/json"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/internal/kube"
)

// stopTries is how often a Job is looked at again because it changed while it was to be stopped.
const stopTries = 5

// Stop deletes the Job of s while it runs, and with it its Pods, because a person aborts what it is for. It returns the
// state that the Job was in: one that was over already is left as it is. What is deleted is the very object that was
// looked at. The Job is gone when its Pods have ended, which the Watcher tells. The error is a *Refusal.
func Stop(ctx context.Context, conn *kube.Conn, as kube.As, s Spec) (State, error) {
	for try := 1; ; try++ {
		state, err := stopOnce(ctx, conn, as, s)
		if !apierrors.IsConflict(err) || try == stopTries {
			return state, s.refused(as, err)
		}
	}
}

// refused makes a Refusal of what is not one yet.
func (s Spec) refused(as kube.As, err error) error {
	if _, told := err.(*Refusal); told || err == nil { //nolint:errorlint // it is one of ours, or not
		return err
	}
	return s.refuse("stopped", as, err)
}

func stopOnce(ctx context.Context, conn *kube.Conn, as kube.As, s Spec) (State, error) {
	u, err := conn.Get(ctx, jobs, s.Namespace, s.Name, as)
	switch {
	case apierrors.IsNotFound(err):
		return (found{uid: s.UID}).explained(ctx, conn, as, s)
	case err != nil:
		return State{}, s.refuse("read", as, err)
	}
	if reason := s.foreign(u); reason != "" {
		return State{}, s.refuseForeign(reason)
	}
	if s.UID != "" && string(u.GetUID()) != s.UID {
		return State{}, s.refuseForeign("is not the one that was recorded")
	}
	state, err := (found{object: u}).explained(ctx, conn, as, s)
	if err != nil || state.Done() {
		return state, err
	}
	uid, version, foreground := u.GetUID(), u.GetResourceVersion(), metav1.DeletePropagationForeground
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		PropagationPolicy: &foreground,
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
	})
	if err != nil {
		return State{}, err
	}
	_, err = conn.Do(ctx, kube.Request{Verb: "delete", Path: jobs.Path(s.Namespace, s.Name), Body: body, As: as, Flow: s.Owner.UID})
	if apierrors.IsNotFound(err) {
		return state, nil
	}
	return state, err
}
