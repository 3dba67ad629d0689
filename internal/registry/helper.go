package registry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Helper gives credentials for the registries of a cloud, by the identity that this process has there.
type Helper interface {
	// Name of the cloud's registry, for sentences: "Amazon ECR".
	Name() string
	// Serves says whether a registry is one of the cloud's.
	Serves(host string) bool
	// Login returns a login for a registry and when it ends. The error holds no credential.
	Login(ctx context.Context, host string) (Login, time.Time, error)
}

// Bounds of what is kept of the logins of clouds.
const (
	maxLogins  = 256
	early      = 5 * time.Minute // how long before its end a login is replaced
	loginPause = 10 * time.Second
)

// helperError says that a cloud gave no login.
type helperError struct {
	helper string
	err    error
}

// Error names the cloud's registry.
func (e *helperError) Error() string { return fmt.Sprintf("%s: %v", e.helper, e.err) }

// Unwrap gives what the helper said.
func (e *helperError) Unwrap() error { return e.err }

// logins keeps the logins of clouds until they end.
type logins struct {
	clock clock.Clock
	mu    sync.Mutex
	kept  map[loginKey]*kept
}

type loginKey struct{ helper, host string }

// kept is one login. Its turn is held while it is fetched, so that it is fetched once.
type kept struct {
	turn  chan struct{}
	login Login
	ends  time.Time
	err   error
}

// get returns a login, an old one while it holds.
func (l *logins) get(ctx context.Context, h Helper, host string) (Login, error) {
	k := l.entry(loginKey{h.Name(), host})
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return Login{}, ctx.Err()
	}
	now := l.clock.Now()
	if now.Before(k.ends) {
		return k.login, k.err
	}
	login, ends, err := h.Login(ctx, host)
	if err != nil {
		if ctx.Err() != nil {
			return Login{}, ctx.Err()
		}
		// Not asked again at once: a cloud also counts.
		k.login, k.err, k.ends = Login{}, &helperError{h.Name(), err}, now.Add(loginPause)
		return Login{}, k.err
	}
	k.login, k.err, k.ends = login, nil, ends.Add(-early)
	return login, nil
}

func (l *logins) entry(key loginKey) *kept {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, ok := l.kept[key]; ok {
		return k
	}
	if l.kept == nil || len(l.kept) >= maxLogins {
		l.kept = map[loginKey]*kept{}
	}
	k := &kept{turn: make(chan struct{}, 1)}
	l.kept[key] = k
	return k
}

// forget drops a login that was refused, though not what a cloud just failed to give.
func (l *logins) forget(h Helper, host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := loginKey{h.Name(), host}
	k, ok := l.kept[key]
	if !ok {
		return
	}
	select {
	case k.turn <- struct{}{}:
		failed := k.err != nil
		<-k.turn
		if !failed {
			delete(l.kept, key)
		}
	default: // it is being replaced
	}
}
