package job

import (
	"context"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/kube"
)

// How long a watch waits before it is tried again: from the first to the longest wait, doubling.
const (
	firstWait = 500 * time.Millisecond
	lastWait  = 15 * time.Second
	// shortWatch is how long a watch lasts at least that is begun again at once.
	shortWatch = time.Second
)

// view is what a stream shows objects to.
type view interface {
	// list begins a list: each is called with every object, and complete when all have been seen, with the resource
	// version that the list is of.
	list() (each func(*unstructured.Unstructured), complete func(version string))
	// wants says whether an event is worth decoding.
	wants(kube.Event) bool
	// event tells what happened to an object. Of one that has left the watch, it is the last state.
	event(u *unstructured.Unstructured, left bool)
	// again is called when a watch goes on from where it was.
	again()
}

// stream lists and watches one kind.
type stream struct {
	w        *Watcher
	resource kube.Resource
	selector kube.Selector
	view     view
	version  string // to go on from; empty asks for a list
}

// run lists and watches until ctx ends. What was known stays while it does not succeed.
func (s *stream) run(ctx context.Context) {
	for wait := firstWait; ctx.Err() == nil; {
		began := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil && time.Since(began) > shortWatch {
			wait = firstWait
			continue // the server ended the watch in good order
		}
		if err != nil {
			s.w.Logger.Warn("watch of the Jobs of Releases is broken, its last state is kept", "resource", s.resource.Name, "error", err)
		}
		pause := wait/2 + rand.N(wait) //nolint:gosec // it guards nothing
		wait = min(2*wait, lastWait)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// once lists if it must, and watches until the watch ends.
func (s *stream) once(ctx context.Context) error {
	if s.version == "" {
		each, complete := s.view.list()
		version, err := s.w.conn.List(ctx, s.resource, "", s.selector, func(u *unstructured.Unstructured) error {
			each(u)
			return nil
		})
		if err != nil {
			return err
		}
		s.version = version
		complete(version)
	} else {
		s.view.again()
	}
	err := s.w.conn.Watch(ctx, s.resource, "", s.selector, s.version, func(e kube.Event) error {
		if e.Type != kube.Bookmark && s.view.wants(e) {
			u, err := e.Object()
			if err != nil {
				return err
			}
			s.view.event(u, e.Type == kube.Deleted)
		}
		s.version = e.Version
		return nil
	})
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		s.version = "" // too old to go on from: list again, at once
		return nil
	}
	return err
}
