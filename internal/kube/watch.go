package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A watch is ended by the server after this time, spread so that not all are opened again at once.
const (
	watchAtLeast = 5 * time.Minute
	watchSpread  = 5 * time.Minute
)

// EventType says what happened to an object.
type EventType string

// The types of events.
const (
	Added    EventType = "ADDED"
	Modified EventType = "MODIFIED"
	Deleted  EventType = "DELETED"
	Bookmark EventType = "BOOKMARK"
)

// Event is one event of a watch. That of a bookmark carries an object with nothing but a resource version.
type Event struct {
	Type   EventType
	Object *unstructured.Unstructured
}

// Watch calls each with what happens to the objects of r that selector chooses, from resourceVersion on, until the
// server ends the watch (nil), each returns an error, or ctx ends. That the version is too old is an error for which
// apierrors.IsResourceExpired or IsGone is true: list again. A watch does not count against the limit of concurrency.
func (c *Conn) Watch(ctx context.Context, r Resource, namespace string, selector Selector, resourceVersion string, each func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	query := selector.query()
	query.Set("watch", "true")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", resourceVersion)
	seconds := (watchAtLeast + rand.N(watchSpread)) / time.Second //nolint:gosec // it guards nothing
	query.Set("timeoutSeconds", strconv.Itoa(int(seconds)))

	late := time.AfterFunc(c.timeout, func() { cancel(errors.New("the API server does not begin to answer")) })
	response, err := c.send(ctx, Request{Verb: "watch", Path: r.Path(namespace, ""), Query: query})
	if !late.Stop() && err == nil {
		_ = response.Body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	decoder := json.NewDecoder(response.Body)
	for {
		event, err := next(decoder)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watch %s: %w", r.Name, err)
		}
		if err := each(event); err != nil {
			return err
		}
	}
}

func next(decoder *json.Decoder) (Event, error) {
	var frame struct {
		Type   EventType       `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := decoder.Decode(&frame); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return Event{}, errors.New("the stream cannot be read")
		}
		return Event{}, err
	}
	if frame.Type == "ERROR" {
		status := metav1.Status{}
		if json.Unmarshal(frame.Object, &status) != nil {
			return Event{}, errors.New("the server ended it with an error that cannot be read")
		}
		return Event{}, &apierrors.StatusError{ErrStatus: status}
	}
	u, err := Decode(frame.Object)
	return Event{Type: frame.Type, Object: u}, err
}
