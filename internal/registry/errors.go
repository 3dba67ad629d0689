package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Reasons for which a call fails; Error matches them through errors.Is.
var (
	// ErrAuth: the registry wants a credential and has none, or refuses the one that it was shown.
	ErrAuth = errors.New("access refused")
	// ErrNotFound: there is no such repository, tag or image, or the credential may not see it.
	ErrNotFound = errors.New("not found")
	// ErrRateLimited: the registry has been asked too often; Until says when to come back.
	ErrRateLimited = errors.New("asked too often")
	// ErrUnreachable: no answer, or one that says that something is wrong at the registry. Another try may succeed.
	ErrUnreachable = errors.New("unreachable")
	// ErrRefused: Sengu does not do what it would take: plain http, an address that is not allowed, a redirect that
	// would take a credential along.
	ErrRefused = errors.New("refused")
	// ErrUnreadable: what the registry answers is too large, damaged, or not what was asked for.
	ErrUnreadable = errors.New("unreadable")
)

// Error says why a registry was not read. No field ever holds a credential, nor text that a registry sent.
type Error struct {
	Subject  string    // the repository or the image
	Reason   error     // one of the sentinels above
	Sentence string    // what happened, and the way out
	Until    time.Time // with ErrRateLimited: when to come back
}

// Error names the subject and says the sentence.
func (e *Error) Error() string { return e.Subject + ": " + e.Sentence }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Reason }

// fault turns what the library says into what a person can use.
func (q call) fault(ctx context.Context, cred credential, err error) error {
	say := func(reason error, format string, args ...any) error {
		return &Error{Subject: q.subject, Reason: reason, Sentence: fmt.Sprintf(format, args...)}
	}
	registry := q.repo.RegistryStr()
	var (
		own      *Error
		limit    *limitError
		helper   *helperError
		answered *transport.Error
	)
	switch {
	case errors.As(err, &own):
		return err
	case errors.As(err, &limit):
		return q.limited(limit)
	case errors.As(err, &answered):
		return q.status(cred, answered)
	case errors.As(err, &helper):
		return say(ErrAuth, "there is no credential from %s: check the identity that sengu has in the cloud, or add a pull secret", helper)
	case errors.Is(context.Cause(ctx), errNoAnswer):
		return say(ErrUnreachable, "%s did not answer within %s", registry, q.timeout)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", q.subject, ctx.Err())
	case errors.Is(err, errInsecure), errors.Is(err, http.ErrSchemeMismatch):
		return say(ErrRefused, "%s speaks http, and Sengu speaks https to every registry that is not on this machine: give the registry a certificate", registry)
	case errors.Is(err, errRedirect):
		return say(ErrRefused, "%s sends us to another host, and no credential follows there: name that host in the repository", registry)
	case errors.Is(err, errAddress):
		return say(ErrRefused, "%s leads to an address that Sengu does not connect to: a link-local one, or a private one that a public registry points at", registry)
	case errors.Is(err, errTooLarge):
		return say(ErrUnreadable, "%s answers with more than Sengu reads: %d MiB for an image, %d MiB for a page of tags", registry, maxDocument>>20, maxList>>20)
	}
	if reason := network(err); reason != "" {
		return say(ErrUnreachable, "%s cannot be reached: %s", registry, reason)
	}
	return say(ErrUnreadable, "what %s answers cannot be understood, or is not what it promised: check that it is a registry, and what stands between it and Sengu", registry)
}

func (q call) limited(e *limitError) error {
	sentence := fmt.Sprintf("%s is asked as often as it may be; next at %s", q.repo.RegistryStr(), e.until.UTC().Format(time.RFC3339))
	if e.asked {
		sentence = fmt.Sprintf("%s says that it was asked too often, and is left alone until %s: a webhook, or a credential with a higher limit, helps", q.repo.RegistryStr(), e.until.UTC().Format(time.RFC3339))
	}
	return &Error{Subject: q.subject, Reason: ErrRateLimited, Sentence: sentence, Until: e.until}
}

// status reads the status code of an answer.
func (q call) status(cred credential, e *transport.Error) error {
	fail := func(reason error, sentence string) error {
		return &Error{Subject: q.subject, Reason: reason, Sentence: sentence}
	}
	registry := q.repo.RegistryStr()
	asked := ""
	if e.Request != nil {
		asked = e.Request.URL.Path
	}
	root := strings.TrimSuffix(asked, "/") == "/v2"
	// A token server answers 400, 403 or 404 for what the registry itself would answer 401.
	tokenServer := !root && !strings.HasPrefix(asked, "/v2/"+q.repo.RepositoryStr()+"/")
	switch code := e.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, tokenServer && code >= 400 && code < 500:
		return fail(ErrAuth, q.refused(cred, code))
	case code == http.StatusNotFound && !root:
		return fail(ErrNotFound, q.missing)
	case code == http.StatusNotFound:
		return fail(ErrUnreadable, fmt.Sprintf("%s does not answer as a registry does (404): check the name", registry))
	case code >= 500:
		return fail(ErrUnreachable, fmt.Sprintf("%s is out of order (%d)", registry, code))
	default:
		return fail(ErrUnreadable, fmt.Sprintf("%s answers with status %d", registry, code))
	}
}

// refused says which credential was refused, and what to do.
func (q call) refused(cred credential, code int) string {
	registry := q.repo.RegistryStr()
	switch {
	case cred.entry != nil:
		return fmt.Sprintf("%s refuses the credential of the pull secret %s under %q (%d): renew it, or let it pull this repository", registry, cred.entry.secret, cred.entry.key, code)
	case cred.helper != nil:
		return fmt.Sprintf("%s refuses the identity that sengu has at %s (%d): let it pull this repository, or add a pull secret", registry, cred.helper.Name(), code)
	case len(q.creds.entries) > 0:
		return fmt.Sprintf("%s wants a credential (%d), and the pull secrets have none for it, only for %s: add one for %s", registry, code, q.creds.keys(), q.host)
	}
	return fmt.Sprintf("%s wants a credential (%d), and there is none: add a pull secret for %s; or there is no such repository", registry, code, q.host)
}

// keys lists what there are credentials for.
func (c Credentials) keys() string {
	const most = 5
	keys := make([]string, 0, most)
	for _, e := range c.entries {
		if len(keys) == most {
			keys = append(keys, "…")
			break
		}
		keys = append(keys, fmt.Sprintf("%q", e.key))
	}
	return strings.Join(keys, ", ")
}

// network says what went wrong on the way, in words of its own: errors of the network quote URLs, and those of blobs
// may be signed. It is "" if nothing did.
func network(err error) string {
	var (
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		cert      *tls.CertificateVerificationError
		alert     tls.AlertError
		timeout   net.Error
		op        *net.OpError
	)
	switch {
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	case errors.As(err, &unknownCA):
		return "its certificate is of an authority that is not trusted"
	case errors.As(err, &wrongName):
		return "its certificate is for another name"
	case errors.As(err, &invalid), errors.As(err, &cert), errors.As(err, &alert):
		return "its certificate is not accepted, or it does not accept ours"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return "the connection broke off"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "it does not answer in time"
	case errors.As(err, &op):
		return "the connection failed"
	}
	return ""
}
