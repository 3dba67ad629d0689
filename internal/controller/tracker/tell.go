package tracker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/registry"
)

const (
	// mostEvents is how many Events a Fleet gets within eventsWithin: a registry that is gone concerns many images.
	mostEvents   = 10
	eventsWithin = 5 * time.Minute
)

func nameOf(fleet *v1alpha1.Fleet) types.NamespacedName { return client.ObjectKeyFromObject(fleet) }

// tell says once what is wrong.
func (r *Reconciler) tell(fleet *v1alpha1.Fleet, st *state, about, reason, sentence string) {
	r.tellAs(fleet, st, about, reason, sentence, sentence)
}

// tellAs says what is wrong, unless the same was said about it last.
func (r *Reconciler) tellAs(fleet *v1alpha1.Fleet, st *state, about, reason, same, sentence string) {
	if st.told[about] == same {
		return
	}
	st.told[about] = same
	r.Log.Warn("an image is not followed as it should be", "namespace", fleet.Namespace, "fleet", fleet.Name, "reason", reason, "error", sentence)
	r.event(fleet, st, corev1.EventTypeWarning, reason, sentence)
}

// untell forgets what was said, so that it is said again when it comes back.
func (st *state) untell(about string) { delete(st.told, about) }

func (r *Reconciler) event(fleet *v1alpha1.Fleet, st *state, kind, reason, sentence string) {
	now := r.Clock.Now()
	for len(st.events) > 0 && now.Sub(st.events[0]) >= eventsWithin {
		st.events = st.events[1:]
	}
	if len(st.events) >= mostEvents {
		return
	}
	st.events = append(st.events, now)
	// Events of one object, reason and action are counted as one by the client, which keeps the first sentence only.
	sum := sha256.Sum256([]byte(sentence))
	r.Events.Eventf(fleet, nil, kind, reason, "FollowImages-"+hex.EncodeToString(sum[:6]), "%s", clip(sentence))
}

// maxNote bounds the text of an Event, in bytes, as the API does.
const maxNote = 1000

func clip(text string) string {
	if len(text) > maxNote {
		return text[:maxNote] + " …"
	}
	return text
}

// tellFailure says why a repository could not be read. Some sentences name a time, and are one nevertheless.
func (r *Reconciler) tellFailure(fleet *v1alpha1.Fleet, st *state, s *subject) {
	about := "registry " + s.repository
	if s.failed == nil {
		st.untell(about)
		return
	}
	same := s.failed.Error()
	if errors.Is(s.failed, registry.ErrRateLimited) {
		same = registry.ErrRateLimited.Error()
	}
	r.tellAs(fleet, st, about, "ImagesNotRead", same, s.failed.Error())
}

// credentials are what a Fleet may show to registries. A pull secret that cannot be used is told, and the others are
// shown all the same.
func (r *Reconciler) credentials(ctx context.Context, fleet *v1alpha1.Fleet, st *state) registry.Credentials {
	creds, wrong := origin.PullCredentials(ctx, r.Client, fleet)
	for i, ref := range origin.PullSecrets(fleet) {
		about := "secret " + ref.Name
		if wrong[i] != nil {
			r.tell(fleet, st, about, "PullSecretNotRead", wrong[i].Error())
			continue
		}
		st.untell(about)
	}
	return creds
}
