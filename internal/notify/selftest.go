package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
)

// Tester is a Sink that a made-up event would not test.
type Tester interface {
	Sink
	// Test tries the sink, or says why it cannot be tried.
	Test(ctx context.Context) error
}

// Test tells a sink a made-up event that says it is one, at a time, and gives the sink's error. Nothing is remembered.
func Test(ctx context.Context, sink Sink, at time.Time) error {
	if t, ok := sink.(Tester); ok {
		return t.Test(ctx)
	}
	event := history.Event{
		Key: fmt.Sprintf("test/%d", at.UnixNano()), Time: at, Kind: "test", Fleet: "sengu", Service: "test",
		Title: "A test of Sengu's notifications", By: "sengu", Why: "somebody tries this notification, and nothing was delivered",
	}
	_, err := sink.Tell(ctx, forgetful{}, []Notice{{Event: event}})
	return err
}

// forgetful is a Memory that keeps nothing.
type forgetful struct{}

func (forgetful) Remember(context.Context, string, []byte) error { return nil }
func (forgetful) Recall(context.Context, string) ([]byte, error) { return nil, nil }
