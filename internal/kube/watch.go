package kube

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
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

// Event is one event of a watch. It is valid until the function that it was handed to returns.
type Event struct {
	Type EventType
	// Namespace, Name and UID of the object, and its resource version, are known without decoding it: half of what a
	// watch tells is the echo of what the watcher has written itself. A bookmark has nothing but a version.
	Namespace, Name, UID, Version string

	frame []byte
}

// Size is the length of the event, in bytes.
func (e Event) Size() int { return len(e.frame) }

// Object decodes the object.
func (e Event) Object() (*unstructured.Unstructured, error) {
	return Decode([]byte(gjson.GetBytes(e.frame, "object").Raw))
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
	stream := frames{reader: bufio.NewReaderSize(response.Body, 64<<10)}
	for {
		event, err := stream.event()
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

// maxFrame bounds one event, in bytes. The API server itself takes objects of up to 3 MiB.
const maxFrame = 32 << 20

// maxKept is the largest buffer that a watch keeps from one event to the next, in bytes.
const maxKept = 256 << 10

// frames reads the events of a watch one by one. An API server sends each as one line; one that is spread over several
// is read as well.
type frames struct {
	reader *bufio.Reader
	buffer []byte
}

// next returns the next frame, which is valid until it is called again.
func (f *frames) next() ([]byte, error) {
	if f.buffer = f.buffer[:0]; cap(f.buffer) > maxKept {
		f.buffer = nil
	}
	for {
		chunk, err := f.reader.ReadSlice('\n')
		f.buffer = append(f.buffer, chunk...)
		blank := len(bytes.TrimSpace(f.buffer)) == 0
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && blank:
			return nil, err
		case blank:
			f.buffer = f.buffer[:0]
		case json.Valid(f.buffer):
			return f.buffer, nil
		case err != nil:
			return nil, err // it ended in the middle of an event
		}
		if len(f.buffer) > maxFrame || (!blank && bytes.TrimSpace(f.buffer)[0] != '{') {
			return nil, errors.New("the stream cannot be read")
		}
	}
}

func (f *frames) event() (Event, error) {
	frame, err := f.next()
	if err != nil {
		return Event{}, err
	}
	text := func(path string) string { return gjson.GetBytes(frame, path).Str }
	kind := EventType(text("type"))
	if kind == "ERROR" {
		status := metav1.Status{}
		if json.Unmarshal([]byte(gjson.GetBytes(frame, "object").Raw), &status) != nil {
			return Event{}, errors.New("the server ended it with an error that cannot be read")
		}
		return Event{}, &apierrors.StatusError{ErrStatus: status}
	}
	return Event{
		Type: kind, Namespace: text("object.metadata.namespace"), Name: text("object.metadata.name"),
		UID: text("object.metadata.uid"), Version: text("object.metadata.resourceVersion"), frame: frame,
	}, nil
}
