package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// alteration is what would happen to one object.
type alteration struct {
	ref    manifest.Ref
	action action
	// remark is what a person should know about it.
	remark string
	lines  []manifest.DiffLine
}

// action is what would be done.
type action byte

const (
	none    action = ' '
	made    action = '+'
	altered action = '~'
	deleted action = '-'
	kept    action = '!'
)

// outcome is what would happen to the objects of one App.
type outcome struct {
	subject     subject
	alterations []alteration
	warnings    []string
	err         error
}

// compare asks the cluster of s what applying it would change.
func (c *comparison) compare(ctx context.Context, s subject) outcome {
	out := outcome{subject: s}
	if s.gone {
		out.alterations, out.err = c.shop.removal(ctx, s, origin.Desired{})
		return out
	}
	want, at, err := c.shop.want(ctx, c.tree, s)
	if err != nil {
		out.err = err
		return out
	}
	out.warnings = want.Warnings
	items := want.Set.Items()
	results := make([]alteration, len(items))
	errs := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, item := range items {
		group.Go(func() error {
			results[i], errs[i] = at.alter(ctx, s, item, want.Ignored[item.Ref])
			return nil
		})
	}
	_ = group.Wait() // every failure is kept with its object
	removed, err := c.shop.removal(ctx, s, want)
	out.alterations = slices.DeleteFunc(slices.Concat(results, removed), func(a alteration) bool { return a.action == none })
	out.err = errors.Join(errors.Join(errs...), err)
	return out
}

// alter asks what applying one object would change.
func (at *site) alter(ctx context.Context, s subject, item manifest.Item, ignored []manifest.FieldPath) (alteration, error) {
	a := alteration{ref: item.Ref, action: none}
	live, err := at.live(ctx, item.Ref, item.GroupVersionKind().Version)
	if err != nil {
		return a, err
	}
	switch {
	case live == nil:
		a.action = made
	case item.Mode == manifest.ModeIfNotPresent:
		return a, nil
	default:
		a.action = altered
		a.remark = foreign(live, s)
	}
	after, err := apply.DryRun(ctx, at.conn, item, ignored, s.options())
	switch {
	case err != nil && live == nil && unborn(err):
		after = item.Unstructured
	case err != nil:
		return a, err
	}
	a.lines = manifest.Diff(unmarked(live, s), unmarked(after, s))
	if len(a.lines) == 0 {
		a.action = none
	}
	return a, nil
}

// unborn says whether an object cannot be tried because what it needs is made at the same time: its namespace, or the
// definition of its kind.
func unborn(err error) bool {
	var failure *apply.Error
	return errors.As(err, &failure) && failure.Retryable
}

// foreign says to whom an object belongs that is not the App's.
func foreign(live *unstructured.Unstructured, s subject) string {
	owner, owned := manifest.OwnerOf(live)
	us := origin.OwnerOf(s.object())
	switch {
	case owned && owner.Namespace == us.Namespace && owner.Name == us.Name:
		return ""
	case owned:
		return "belongs to App " + owner.Name + " now"
	}
	return "exists already and is nobody's: `sengu adopt " + s.title() + "` takes it over"
}

// unmarked is u without the marks of an App that does not exist yet, or has not applied u yet: they are no change that
// a person makes.
func unmarked(u *unstructured.Unstructured, s subject) *unstructured.Unstructured {
	if u == nil {
		return nil
	}
	if owner, owned := manifest.OwnerOf(u); owned && s.app != nil && owner.UID != string(s.app.UID) {
		return u
	}
	return manifest.Unmarked(u)
}

// live reads an object, nil if there is none or its kind is not known yet.
func (at *site) live(ctx context.Context, ref manifest.Ref, version string) (*unstructured.Unstructured, error) {
	resource, err := at.conn.Mapping(ctx, schema.GroupVersionKind{Group: ref.Group, Version: version, Kind: ref.Kind})
	var unknown *kube.UnknownKindError
	if errors.As(err, &unknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	u, err := at.conn.Get(ctx, resource, ref.Namespace, ref.Name, kube.As{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return u, nil
}

// removal lists what the App of s has applied that is not wanted.
func (w *workshop) removal(ctx context.Context, s subject, want origin.Desired) ([]alteration, error) {
	if s.app == nil {
		return nil, nil
	}
	var all []alteration
	name := s.spec.Source.Cluster
	if s.app.Status.Cluster != "" {
		name = s.app.Status.Cluster
	}
	for _, entry := range s.app.Status.Inventory {
		ref, err := manifest.ParseID(entry.ID)
		if err != nil {
			return all, fmt.Errorf("read the inventory: %w", err)
		}
		if _, stays := want.Set.ByRef(ref); stays && name == s.spec.Source.Cluster {
			continue
		}
		at, err := w.site(ctx, name)
		if err != nil {
			return all, err
		}
		live, err := at.live(ctx, ref, version(entry.V))
		if err != nil {
			return all, err
		}
		if live == nil {
			continue
		}
		a := alteration{ref: ref, action: deleted, lines: manifest.Diff(unmarked(live, s), nil)}
		if want.Settings.PruneMode() == delivery.PruneNever || manifest.NeverPruned(live) {
			a.action, a.remark, a.lines = kept, "is never pruned, and would be left as it is", nil
		}
		all = append(all, a)
	}
	return all, nil
}
