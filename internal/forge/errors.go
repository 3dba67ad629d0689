package forge

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reasons for which a forge does not do what it is asked; Error matches them through errors.Is.
var (
	// ErrUnavailable: no answer (name, network, TLS, time-out), or an error of the server itself.
	ErrUnavailable = errors.New("forge unavailable")
	// ErrUnauthorized: the forge does not know the token, or it has ended.
	ErrUnauthorized = errors.New("token refused")
	// ErrForbidden: the token may not do this. Error.Needs says what it lacks.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound: there is no such thing, or the token may not see it.
	ErrNotFound = errors.New("not found")
	// ErrConflict: it is not in a state in which this can be done, or another did it at the same time.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the forge understands the request and does not want it.
	ErrInvalid = errors.New("refused as invalid")
	// ErrMoved: the forge redirects to another host, or in a way in which a write would become a read.
	ErrMoved = errors.New("moved")
	// ErrTooLarge: there is more than is read.
	ErrTooLarge = errors.New("too large")
)

// Error says what kept a forge from doing what it was asked. No field ever holds a token.
type Error struct {
	Op         string // what was tried, such as "open a pull request"
	Kind       Kind
	Repository string
	Reason     error  // one of the sentinels above
	Status     int    // of HTTP, 0 when there was no answer
	Needs      string // what the token must be allowed, when that may be the reason
	Detail     string // what the forge said, one line
}

// Error is one sentence: what, where, why, what was said and the way out.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %s on %s: %s", e.Op, e.Repository, e.Kind, e.Reason)
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	switch {
	case e.Needs == "":
	case errors.Is(e.Reason, ErrForbidden):
		b.WriteString("; the token needs " + e.Needs)
	case errors.Is(e.Reason, ErrNotFound):
		b.WriteString("; it is also said to be missing when the token lacks " + e.Needs)
	}
	return b.String()
}

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Reason }

// RateLimited says that the forge wants no more requests for a while. Until then the same Forge sends none.
type RateLimited struct {
	Kind  Kind
	Until time.Time
}

// Error says until when.
func (e *RateLimited) Error() string {
	return fmt.Sprintf("%s wants no more requests of this token before %s", e.Kind, e.Until.UTC().Format(time.RFC3339))
}
