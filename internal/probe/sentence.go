package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
)

// addressRefused ends the sentence about an address that no look leads to.
const addressRefused = "its address is this machine's own, a link-local one, or one of a cloud's metadata: the operator of Sengu can allow the URL"

// notAsked says why there is no answer. The errors of the network are put into words of our own, because theirs hold
// addresses, and what others have sent.
func notAsked(ctx context.Context, err error, by string) Result {
	if errors.Is(err, errAddress) {
		return Result{Refused: true, Sentence: by + "is not asked: " + addressRefused}
	}
	return Result{Sentence: by + "could not be asked: " + reason(ctx, err)}
}

func reason(ctx context.Context, err error) string {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "it was interrupted"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "its name is not known"
	case errors.As(err, &dns):
		return "its name could not be resolved"
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it did not answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refuses the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to it"
	}
	if why := tlsReason(err); why != "" {
		return why
	}
	return "its answer could not be read, or the connection broke"
}

// tlsReason says why the other side was not believed, empty if that was not it.
func tlsReason(err error) string {
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &name):
		return "its certificate is for another name"
	case errors.As(err, &authority):
		return "its certificate is signed by nobody that is known"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or is not valid yet"
	case errors.As(err, &invalid), errors.As(err, &verification):
		return "its certificate is not valid"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS"
	case errors.As(err, &alert):
		return "it refuses the TLS connection"
	default:
		return ""
	}
}
