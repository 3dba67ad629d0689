package origin

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// Forges keeps the forge of each Fleet for everybody who needs it, since a forge wants to be left alone by all of them when
// it says so, and nobody is given what another has got already. It is safe for concurrent use.
type Forges struct {
	client  client.Reader
	options ForgeOptions

	mu sync.Mutex
	of map[types.NamespacedName]keptForge
}

// keptForge is a forge with what it was made of.
type keptForge struct {
	made  forge.Forge
	fleet types.UID
	// generation is that of the Fleet, and secret tells the states of its Secret apart.
	generation int64
	secret     string
}

// NewForges keeps forges whose credentials are read by c.
func NewForges(c client.Reader, repositories *gitrepo.Store, log *slog.Logger, now func() time.Time) *Forges {
	return &Forges{client: c, options: ForgeOptions{Repositories: repositories, Log: log, Now: now}, of: map[types.NamespacedName]keptForge{}}
}

// Of returns the forge of a Fleet, as Forge makes it. It is made anew when the Fleet or its Secret has changed.
func (f *Forges) Of(ctx context.Context, fleet *v1alpha1.Fleet) (forge.Forge, error) {
	if !mayUseForge(fleet) {
		return nil, ErrNoForge
	}
	secret, err := f.secretOf(ctx, fleet)
	if err != nil {
		return nil, err
	}
	key := client.ObjectKeyFromObject(fleet)
	f.mu.Lock()
	is, known := f.of[key]
	f.mu.Unlock()
	if known && is.fleet == fleet.UID && is.generation == fleet.Generation && is.secret == secret {
		return is.made, nil
	}
	made, err := Forge(ctx, f.client, fleet, f.options)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		delete(f.of, key)
		return nil, err
	}
	f.of[key] = keptForge{made, fleet.UID, fleet.Generation, secret}
	return made, nil
}

// Forget drops what is kept of a Fleet that is not there any more.
func (f *Forges) Forget(fleet types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.of, fleet)
}

// secretOf tells the states of the Secret of a Fleet's forge apart. One that is not there is for Forge to tell of.
func (f *Forges) secretOf(ctx context.Context, fleet *v1alpha1.Fleet) (string, error) {
	field, name := ForgeSecret(fleet)
	if name == "" {
		return "", nil
	}
	secret := &corev1.Secret{}
	err := f.client.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read Secret %s that %s names: %w", name, field, err)
	}
	return string(secret.UID) + "/" + secret.ResourceVersion, nil
}
