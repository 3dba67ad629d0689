package job

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/kube"
)

// There looks for a Job that was made for s already, under its name and in its namespace, and returns s with the UID of
// it. It is asked as Sengu itself, as the Watcher asks, and changes nothing. The error is a *Refusal.
func There(ctx context.Context, conn *kube.Conn, s Spec) (Spec, bool, error) {
	u, err := conn.Get(ctx, jobs, s.Namespace, s.Name, kube.As{})
	switch {
	case apierrors.IsNotFound(err):
		return s, false, nil
	case err != nil:
		return s, false, s.refuse("read", kube.As{}, err)
	case !s.made(u):
		return s, false, nil
	}
	s.UID = string(u.GetUID())
	return s, true, nil
}

// Find is There for whoever does not know the namespace of the Job, which a template may name: it looks in that of s
// first, and then in every other. It returns s with the namespace too.
func Find(ctx context.Context, conn *kube.Conn, s Spec) (Spec, bool, error) {
	if there, ok, err := There(ctx, conn, s); ok || err != nil {
		return there, ok, err
	}
	found, ok := s, false
	selector := kube.Selector{Labels: Label + "=" + labelValue(s.Owner.Name)}
	_, err := conn.List(ctx, jobs, "", selector, func(u *unstructured.Unstructured) error {
		at := s
		at.Namespace = u.GetNamespace()
		if u.GetName() == s.Name && at.made(u) {
			found, ok = at, true
			found.UID = string(u.GetUID())
		}
		return nil
	})
	if err != nil {
		reason, temporary := explain(s.Namespace, "read", kube.As{}, err)
		return s, false, &Refusal{Sentence: fmt.Sprintf("whether there is a Job %s already could not be asked: %s", s.Name, reason), Temporary: temporary, err: err}
	}
	return found, ok, nil
}

// made says whether u is the Job of s: the very one that was recorded, if one was.
func (s Spec) made(u *unstructured.Unstructured) bool {
	if s.UID != "" {
		return string(u.GetUID()) == s.UID
	}
	return s.foreign(u) == ""
}
