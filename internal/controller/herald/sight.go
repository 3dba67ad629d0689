package herald

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/notify"
)

// sight is what this process knows of a route, by the name of its sink.
type sight struct {
	// first is when it was seen first, and registered since when the record knew it then.
	first, registered time.Time
	// spec tells what the route said when its sink was made from what it says now.
	spec string
}

// sightOf is what is known of a route, which is seen now if it never was.
func (r *Reconciler) sightOf(name string) *sight {
	if r.sights == nil {
		r.sights = map[string]*sight{}
	}
	if r.sights[name] == nil {
		r.sights[name] = &sight{first: r.Now()}
	}
	return r.sights[name]
}

// since is from when on what happens is news to a sink: from when its route was seen or the record knew it, whichever was
// earlier, because a record that was away takes in later what happened meanwhile. It counts no longer if the record knows
// the sink anew: that record was lost, and takes in what was told before.
func (s *sight) since(registered time.Time) time.Time {
	if s.registered.IsZero() {
		s.registered = registered
	}
	if s.registered.Equal(registered) && s.first.Before(registered) {
		return s.first
	}
	return registered
}

// kept is the sink of a route whose Secret cannot be read now: the one that is there, unless the route says something else
// by now. What waits for a route without a sink goes on waiting.
func (r *Reconciler) kept(fleet *v1alpha1.Fleet, n v1alpha1.Notification) (notify.Subscription, bool) {
	name := sinkName(fleet, n)
	spec, err := versionOf(n)
	if err != nil || r.sightOf(name).spec != spec {
		return notify.Subscription{}, false
	}
	for _, old := range r.routes[types.NamespacedName{Namespace: fleet.Namespace, Name: fleet.Name}] {
		if old.Name == name {
			return old, true
		}
	}
	return notify.Subscription{}, false
}

// awayError is a failure that goes by itself, and says nothing of the route.
type awayError struct {
	what string // what cannot be read
	err  error
}

func (e *awayError) Error() string { return fmt.Sprintf("read %s: %v", e.what, e.err) }

func (e *awayError) Unwrap() error { return e.err }

// plain says the same without ports, request IDs and the like, which differ each time.
func (e *awayError) plain() string {
	return e.what + " cannot be read now, and is tried again: the home cluster does not answer as it should"
}

// unread explains why something cannot be read.
func unread(what string, err error) error {
	if passes(err) {
		return &awayError{what, err}
	}
	return fmt.Errorf("read %s: %w", what, err)
}

// passes reports whether an error is of the API server or the way to it, and not of what was asked.
func passes(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
	}
	var address *url.Error
	if errors.As(err, &address) && address.Op == "parse" {
		return false // it is an address that somebody wrote
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
