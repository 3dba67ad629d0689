package notify_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

// TestOnTheRealStore runs each sink on the store that Sengu has, through failures and restarts.
func TestOnTheRealStore(t *testing.T) {
	for name, open := range map[string]func(*testing.T, *world) place{"webhook": newHook, "slack": newChat, "deployment": newBoard} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			outside := open(t, w)
			address := "sqlite://" + filepath.Join(t.TempDir(), "sengu.db")
			list := events(24)
			outside.fail(busy, lost, broken, lost)
			for i := range 4 {
				life(t, w, outside, address, func(ctx context.Context, store *sqlstore.Store, d *notify.Dispatcher) error {
					if _, err := store.Append(ctx, list[i*6:i*6+6]...); err != nil {
						return err
					}
					d.Wake()
					if i%2 == 0 {
						return nil // stopped at once
					}
					w.drive(func() error {
						sinks, err := store.Sinks(ctx)
						if err != nil || len(sinks) != 1 || sinks[0].Pending > 0 {
							return errors.Join(err, fmt.Errorf("the store has %+v", sinks))
						}
						return nil
					})
					return nil
				})
			}
			if err := same(outside.told(), keys(list)); err != nil {
				t.Error(err)
			}
			if wrong := outside.wrong(); len(wrong) > 0 || strings.Contains(w.journal.String(), planted) {
				t.Errorf("the place complains, or the log holds a secret: %v", wrong)
			}
		})
	}
}

// life is one life of Sengu.
func life(t *testing.T, w *world, outside place, address string, do func(context.Context, *sqlstore.Store, *notify.Dispatcher) error) {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), address, sqlstore.Options{Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := store.Register(t.Context(), sinkName); err != nil {
		t.Fatal(err)
	}
	d, err := notify.New(notify.Options{
		Store: store, Clock: w.clock, Logger: w.journal.logger(),
		Sinks: []notify.Subscription{{Name: sinkName, Sink: outside.sink(t, w)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	err = do(ctx, store, d)
	cancel()
	<-done
	if err != nil {
		t.Fatal(err)
	}
}
