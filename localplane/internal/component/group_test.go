package component

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var errBroken = errors.New("broken")

// untilEnd is a component that does as it is told.
func untilEnd(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func TestDuring(t *testing.T) {
	cases := map[string]struct {
		reason    string
		component func(context.Context) error
		step      func(context.Context) error
		want      []string
	}{
		"StepSucceeds": {
			reason:    "A step that returns nil while all components run is a success.",
			component: untilEnd,
			step:      func(context.Context) error { return nil },
		},
		"StepFails": {
			reason:    "The error of a step is handed on as it is.",
			component: untilEnd,
			step:      func(context.Context) error { return errBroken },
			want:      []string{"broken"},
		},
		"ComponentFails": {
			reason:    "A step does not wait for what a dead component will never do, and the error says both.",
			component: func(context.Context) error { return errBroken },
			step: func(ctx context.Context) error {
				<-ctx.Done()
				return errors.New("not ready yet")
			},
			want: []string{"etcd stopped: broken", "not ready yet"},
		},
		"ComponentLeaves": {
			reason:    "A component that ends without an error has failed too.",
			component: func(context.Context) error { return nil },
			step:      untilEnd,
			want:      []string{"etcd stopped: it gave no reason"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			g := NewGroup()
			g.Start("etcd", time.Minute, tc.component)
			err := g.During(t.Context(), tc.step)
			g.Stop()
			if (err != nil) != (len(tc.want) > 0) {
				t.Fatalf("%s\nDuring: got error %v, want one with %q", tc.reason, err, tc.want)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s\nDuring: error %q lacks %q", tc.reason, err, want)
				}
			}
		})
	}
}

func TestWait(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := NewGroup()
	fail := make(chan struct{})
	g.Start("etcd", time.Minute, func(context.Context) error {
		<-fail
		return errBroken
	})
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("asked to"))
	if err := g.Wait(ended); err == nil || err.Error() != "asked to" {
		t.Errorf("Wait with an ended context: got %v, want its cause", err)
	}
	close(fail)
	if err := g.Wait(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("Wait while a component fails: got %v, want %v", err, errBroken)
	}
	g.Stop()
}

func TestStop(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := NewGroup()
	var mu sync.Mutex
	var order []string
	for _, name := range []string{"etcd", "kube-apiserver", "kube-scheduler"} {
		g.Start(name, time.Minute, func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			order = append(order, name)
			return ctx.Err()
		})
	}
	release := make(chan struct{})
	defer close(release)
	g.Start("KWOK", time.Nanosecond, func(context.Context) error {
		<-release
		return nil
	})
	if g.Stopping() {
		t.Error("Stopping is true before Stop")
	}
	if late, want := g.Stop(), []string{"KWOK"}; !slices.Equal(late, want) {
		t.Errorf("Stop: got late %q, want %q", late, want)
	}
	if !g.Stopping() {
		t.Error("Stopping is false after Stop")
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"kube-scheduler", "kube-apiserver", "etcd"}; !slices.Equal(order, want) {
		t.Errorf("Stop: ended in order %q, want %q", order, want)
	}
	if err := g.Wait(endedContext()); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait after Stop: got %v; a component that was stopped has not failed", err)
	}
}

// endedContext is a context that has ended.
func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
