package fleet

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
)

// indexes gives a fake client the indexes of a cache.
type indexes struct{ builder *fake.ClientBuilder }

func (i indexes) IndexField(_ context.Context, obj client.Object, field string, values client.IndexerFunc) error {
	i.builder.WithIndex(obj, field, values)
	return nil
}

// TestReleaseDeleted deletes a Release that has not come anywhere yet: its commit is released anew. One that is older, or of
// a service that is as its older Release says, is not missed.
func TestReleaseDeleted(t *testing.T) {
	s := newStreet(t, tagged("web", "1"))
	first := s.push(map[string]string{fileOf("web", "develop"): kustomized("web", "2")})
	second := s.push(map[string]string{fileOf("web", "develop"): kustomized("web", "3")})
	s.fleet.Status.Revision, s.fleet.Status.Sequence = second.Spec.Revision, second.Spec.Sequence
	all := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(all); err != nil {
		t.Fatal(err)
	}
	gone := func(one *v1alpha1.Release, left ...client.Object) {
		t.Helper()
		builder := fake.NewClientBuilder().WithScheme(all).WithObjects(left...)
		if err := origin.IndexServices(t.Context(), indexes{builder}); err != nil {
			t.Fatal(err)
		}
		s.r.Client, s.r.states = builder.Build(), map[types.NamespacedName]*state{client.ObjectKeyFromObject(s.fleet): s.st}
		s.r.releaseEvents().Delete(t.Context(), event.DeleteEvent{Object: one}, nil)
	}
	s.st.roster.suspected()
	gone(first, second)
	if is := s.st.roster.suspected(); len(is) != 0 {
		t.Errorf("that an older Release is gone has %v looked at", is)
	}
	gone(second, first)
	if _, is := s.st.roster.suspected()["web"]; !is {
		t.Error("nobody looks at the service whose newest Release is gone")
	}
	look := s.survey(second.Spec.Revision, "web")
	look.sequence, look.anew = second.Spec.Sequence, true
	third := s.release(look, "web")
	if third == nil || third.Name == second.Name || third.Spec.Revision != second.Spec.Revision {
		t.Fatalf("the commit is released as %+v", third)
	}
	if got, want := s.intends(third, "develop").Digest, s.intends(second, "develop").Digest; got != want {
		t.Errorf("it intends %s, want what the commit means: %s", got, want)
	}
	gone(third)
	if c := s.st.roster.course("web"); c.Release != "" {
		t.Errorf("the service is still meant to be as %s says", c.Release)
	}
}
