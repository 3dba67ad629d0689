package sqlstore

import (
	"context"
	"errors"
	"fmt"
)

// What a caller branches on.
var (
	// ErrUnavailable: the database cannot be used now. Nothing is half-written; whether the call has taken effect is not
	// known, and it may be made again.
	ErrUnavailable = errors.New("database unavailable")
	// ErrRefused: what was given can never be recorded; asking again does not help.
	ErrRefused = errors.New("refused")
	// ErrNotFound: there is no such log.
	ErrNotFound = errors.New("not found")
	// ErrUnknownSink: the sink is not registered.
	ErrUnknownSink = errors.New("sink not registered")
	// ErrClosed: the Store is closed.
	ErrClosed = errors.New("record is closed")
)

// failure is a sentence for people, and what a caller may branch on.
type failure struct {
	says   string
	reason error
}

func (f *failure) Error() string { return f.says }
func (f *failure) Unwrap() error { return f.reason }

func refuse(format string, args ...any) error {
	return &failure{fmt.Sprintf(format, args...), ErrRefused}
}

func unavailable(format string, args ...any) error {
	return &failure{fmt.Sprintf(format, args...), ErrUnavailable}
}

// explain makes a sentence of what kept a call from succeeding. The errors of drivers are not wrapped: some hold the
// address that was dialled with its password.
func (s *Store) explain(parent context.Context, what string, err error) error {
	var said *failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said):
		return fmt.Errorf("%s: %w", what, said)
	case parent.Err() != nil:
		return fmt.Errorf("%s: %w", what, parent.Err())
	case s.closed.Load():
		return fmt.Errorf("%s: %w", what, ErrClosed)
	}
	if says := s.dialect.explain(s.name, err); says != "" {
		return fmt.Errorf("%s: %w", what, unavailable("%s", says))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", what, unavailable("%s did not answer within %s: look whether it is overloaded or out of reach", s.name, patience))
	}
	return fmt.Errorf("%s: %s: %s", what, s.name, line(err))
}
