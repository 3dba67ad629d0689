package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// A kind that is not known is asked for, but not more often than this: a few times at once, for a CRD and what it
// defines, and then every so often.
const (
	askEvery = 2 * time.Second
	askBurst = 4
)

// Resource is where a kind lives in the API.
type Resource struct {
	Kind schema.GroupVersionKind
	// Name of the resource in paths, in the plural: deployments.
	Name string
	// Namespaced says that objects of the kind live in namespaces.
	Namespaced bool
	// Watchable says that the kind can be listed and watched.
	Watchable bool
}

// Path returns the path of the object of that name, or, without a name, of the collection; without a namespace of a
// namespaced kind, of all namespaces together.
func (r Resource) Path(namespace, name string) string {
	path := "/api/" + r.Kind.Version
	if r.Kind.Group != "" {
		path = "/apis/" + r.Kind.Group + "/" + r.Kind.Version
	}
	if r.Namespaced && namespace != "" {
		path += "/namespaces/" + namespace
	}
	path += "/" + r.Name
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	return path
}

// UnknownKindError says that the cluster has no such kind: it was asked, and answered.
type UnknownKindError struct{ Kind schema.GroupVersionKind }

func (e *UnknownKindError) Error() string {
	if e.Kind.Version == "" {
		return fmt.Sprintf("the cluster does not know the kind %s of group %q", e.Kind.Kind, e.Kind.Group)
	}
	return fmt.Sprintf("the cluster does not know the kind %s (%s)", e.Kind.Kind, e.Kind.GroupVersion())
}

// CouldNotAskError says that it is not known whether the cluster has the kind, because the server of its group, or the
// whole API server, did not answer. Nothing may be concluded from it.
type CouldNotAskError struct {
	Kind schema.GroupVersionKind
	// Err is what the API server answered, nil if only the server of the group is silent.
	Err error
}

func (e *CouldNotAskError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("the cluster could not be asked for the kind %s: %v", e.Kind.Kind, e.Err)
	}
	return fmt.Sprintf("the cluster could not be asked for the kind %s: the server of %s does not answer (see kubectl get apiservice)",
		e.Kind.Kind, e.Kind.GroupVersion())
}

func (e *CouldNotAskError) Unwrap() error { return e.Err }

// kinds is the cached catalog of a server.
type kinds struct {
	ask   func(context.Context) (*catalog, error)
	pace  *rate.Limiter
	mu    sync.Mutex // guards known and asked
	known *catalog
	asked time.Time
	// asking lets one ask at a time; those that wait use its answer.
	asking chan struct{}
}

func newKinds(ask func(context.Context) (*catalog, error)) *kinds {
	return &kinds{ask: ask, pace: rate.NewLimiter(rate.Every(askEvery), askBurst), asking: make(chan struct{}, 1)}
}

func (k *kinds) cached() (*catalog, time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known, k.asked
}

// refresh asks the server, unless it was asked after since, or too often; then the catalog is what it is.
func (k *kinds) refresh(ctx context.Context, since time.Time) (*catalog, error) {
	select {
	case k.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-k.asking }()
	before, asked := k.cached()
	if before != nil && (asked.After(since) || !k.pace.Allow()) {
		return before, nil
	}
	start := time.Now()
	found, err := k.ask(ctx)
	if err != nil {
		return nil, err
	}
	found.keep(before)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.asked = found, start
	return found, nil
}

// catalog returns the cached catalog, asking for it the first time.
func (k *kinds) catalog(ctx context.Context) (*catalog, error) {
	if known, _ := k.cached(); known != nil {
		return known, nil
	}
	return k.refresh(ctx, time.Now())
}

// Mapping returns where objects of gvk live. Without a version, it is that of the version which the cluster prefers. A
// kind that is not known yet makes it ask the cluster again, at a bounded rate. The error is an *UnknownKindError or a
// *CouldNotAskError.
func (c *Conn) Mapping(ctx context.Context, gvk schema.GroupVersionKind) (Resource, error) {
	return c.mapping(ctx, gvk, time.Now())
}

// mapping is Mapping that is content with a catalog asked for after since.
func (c *Conn) mapping(ctx context.Context, gvk schema.GroupVersionKind, since time.Time) (Resource, error) {
	known, _ := c.kinds.cached()
	if known != nil {
		if r, ok := known.find(gvk); ok {
			return r, nil
		}
	}
	known, err := c.kinds.refresh(ctx, since)
	if err != nil {
		return Resource{}, &CouldNotAskError{Kind: gvk, Err: err}
	}
	if r, ok := known.find(gvk); ok {
		return r, nil
	}
	if known.mute(gvk) {
		return Resource{}, &CouldNotAskError{Kind: gvk}
	}
	return Resource{}, &UnknownKindError{Kind: gvk}
}

// Forget drops what is known of gvk, so that the next Mapping asks the cluster. For a kind that turned out not to be
// served.
func (c *Conn) Forget(gvk schema.GroupVersionKind) {
	c.kinds.mu.Lock()
	defer c.kinds.mu.Unlock()
	if known := c.kinds.known; known != nil {
		next := *known
		next.resources = maps.Clone(known.resources)
		delete(next.resources, gvk)
		c.kinds.known = &next
	}
}

// Scopes says which of kinds the cluster has, and which of them live in namespaces, in the form that a Set is made
// with. It asks the cluster at most once. The error is a *CouldNotAskError: then nothing is known, and an object's kind
// must not be called unknown.
func (c *Conn) Scopes(ctx context.Context, kinds ...schema.GroupKind) (manifest.Scopes, error) {
	since := time.Now()
	scopes := make(map[schema.GroupKind]bool, len(kinds))
	for _, gk := range kinds {
		if _, done := scopes[gk]; done {
			continue
		}
		r, err := c.mapping(ctx, gk.WithVersion(""), since)
		var unknown *UnknownKindError
		if errors.As(err, &unknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		scopes[gk] = r.Namespaced
	}
	return func(gk schema.GroupKind) (namespaced, known bool) {
		namespaced, known = scopes[gk]
		return namespaced, known
	}, nil
}

// APIVersions lists what charts may ask the cluster for: "v1", "apps/v1" and "apps/v1/Deployment", sorted. Of a version
// whose own server does not answer, the version is listed and its kinds as far as they were known before: those are
// kinds of aggregated servers, as for metrics, and never of CRDs, which the API server itself answers for.
func (c *Conn) APIVersions(ctx context.Context) ([]string, error) {
	known, err := c.kinds.catalog(ctx)
	if err != nil {
		return nil, err
	}
	set := map[string]bool{}
	for group, versions := range known.versions {
		for _, version := range versions {
			set[schema.GroupVersion{Group: group, Version: version}.String()] = true
		}
	}
	for gvk := range known.resources {
		set[gvk.GroupVersion().String()+"/"+gvk.Kind] = true
	}
	return slices.Sorted(maps.Keys(set)), nil
}
