package gitrepo

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// status turns an answer that is not a success into the reason that it stands for.
func (c *wireCall) status(resp *http.Response) error {
	e := &FetchError{URL: c.repo.remote.raw, Ref: c.ref, Detail: "the server says " + resp.Status}
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		e.Reason = ErrAuth
		if c.cred.authorization == "" {
			e.Detail += ", and no credential was given"
		}
	case code == http.StatusNotFound, code == http.StatusGone:
		e.Reason = ErrRemoteMissing
		e.Detail += "; some servers say so when a credential is missing or may not read it"
	case code/100 == 3:
		e.Reason = ErrRedirect
	default:
		e.Reason = ErrUnreachable
	}
	if text := plainText(resp); text != "" {
		e.Detail += ": " + c.cred.redact.clean(text)
	}
	return e
}

// plainText is the first line of an answer that is meant for people, of at most 200 bytes.
func plainText(resp *http.Response) string {
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		return ""
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return strings.ToValidUTF8(line, "")
}

// broken is an answer that ended early or made no sense. What the server itself said goes before what we make of it.
func (c *wireCall) broken(ctx context.Context, err error) error {
	if errors.Is(err, errNotGit) {
		return err
	}
	e := &FetchError{URL: c.repo.remote.raw, Ref: c.ref, Reason: ErrUnreachable, Detail: c.cred.redact.clean(err.Error())}
	var said *serverError
	switch {
	case errors.As(err, &said):
		if reason := reasonOf(said.said); reason != nil {
			e.Reason = reason
		}
	case errors.Is(err, ErrRejected):
		e.Reason, e.Detail = ErrRejected, strings.TrimPrefix(e.Detail, ErrRejected.Error()+": ")
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		e.Detail = context.Cause(ctx).Error()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return e
}
