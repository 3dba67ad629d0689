package server

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/sengu-dev/sengu/internal/history"
)

// TestRegisteredBeforeTheNextEvent keeps what happens while a sink could not be registered yet.
func TestRegisteredBeforeTheNextEvent(t *testing.T) {
	r := &records{url: filepath.Join(t.TempDir(), historyFile), clock: clock.RealClock{}, log: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	away, cancel := context.WithCancel(t.Context())
	cancel()
	for _, sink := range []string{"shop/chat", "shop/gone"} {
		if err := r.Register(away, sink); err == nil {
			t.Fatal("registered in a database that does not answer")
		}
	}
	if err := r.Unregister(t.Context(), "shop/gone"); err != nil {
		t.Fatal(err)
	}
	event := history.Event{Key: "1", Time: time.Now(), Kind: history.Done, Fleet: "shop", Service: "web", By: "sengu"}
	if _, err := r.Append(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	pending, err := r.Pending(t.Context(), "shop/chat", 10)
	if err != nil || len(pending) != 1 || pending[0].Event.Key != "1" {
		t.Errorf("pending are %v, %v", pending, err)
	}
	sinks, err := r.Sinks(t.Context())
	if err != nil || len(sinks) != 1 {
		t.Errorf("known are %v, %v", sinks, err)
	}
}
