package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// unsaidPause is how long to wait when a forge does not say: what GitHub asks for.
	unsaidPause = time.Minute
	// longestPause bounds what a forge may ask for; the windows of limits are an hour long.
	longestPause = 2 * time.Hour
)

func (c *client) fail(k call, reason error, status int, detail string) *Error {
	return &Error{Op: k.op, Kind: c.kind, Repository: c.repository, Reason: reason, Status: status, Needs: k.needs, Detail: detail}
}

// allowed says until when no request may be sent.
func (c *client) allowed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Before(c.until) {
		return &RateLimited{Kind: c.kind, Until: c.until}
	}
	return nil
}

// unanswered is a request without an answer.
func (c *client) unanswered(ctx context.Context, k call, err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // without the URL, which says no more than op does
	}
	switch {
	case errors.Is(err, errRedirect):
		return c.fail(k, ErrMoved, 0, "the repository or the API is elsewhere now, and this request is not sent after it: set the new name, or the new URL")
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s in %s on %s: %w", k.op, c.repository, c.kind, context.Cause(ctx))
	case ctx.Err() != nil:
		return c.fail(k, ErrUnavailable, 0, "no answer in time")
	}
	return c.fail(k, ErrUnavailable, 0, oneLine(err.Error(), 300))
}

// unread is an answer that is a success and cannot be read.
func (c *client) unread(ctx context.Context, k call, status int, body *boundedReader, err error) error {
	switch {
	case body.over:
		return c.fail(k, ErrTooLarge, status, fmt.Sprintf("the answer has more than %d MiB", maxAnswer>>20))
	case ctx.Err() != nil:
		return c.unanswered(ctx, k, err)
	}
	return c.fail(k, ErrUnavailable, status, "the answer is not what the API of a "+string(c.kind)+" says: is the URL of the API right?")
}

// refused is an answer that is no success.
func (c *client) refused(k call, resp *http.Response, token string) error {
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
	// Before it is cut, because half a token is not found.
	detail := complaint(bytes.ReplaceAll(data, []byte(token), []byte("***")))
	if until, ok := limited(resp, detail, c.now()); ok {
		c.mu.Lock()
		c.until = until
		c.mu.Unlock()
		return &RateLimited{Kind: c.kind, Until: until}
	}
	e := c.fail(k, ErrInvalid, resp.StatusCode, detail)
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		e.Reason = ErrUnauthorized
	case code == http.StatusForbidden:
		e.Reason = ErrForbidden
		// GitHub knows better than a constant.
		if needs := resp.Header.Get("X-Accepted-Github-Permissions"); needs != "" {
			e.Needs = "the permission " + oneLine(needs, 200)
		}
	case code == http.StatusNotFound, code == http.StatusGone:
		e.Reason = ErrNotFound
	case code == http.StatusConflict, code == http.StatusPreconditionFailed, code == http.StatusLocked:
		e.Reason = ErrConflict
	case code/100 == 3:
		e.Reason = ErrMoved
	case code >= 500, code == http.StatusRequestTimeout:
		e.Reason = ErrUnavailable
	}
	if e.Detail == "" {
		e.Detail = "status " + strconv.Itoa(resp.StatusCode)
	}
	return e
}

// limited says until when a forge wants no more requests, if that is what the answer means.
func limited(resp *http.Response, detail string, now time.Time) (time.Time, bool) {
	after, reset := resp.Header.Get("Retry-After"), resp.Header.Get("X-Ratelimit-Reset")
	if reset == "" {
		reset = resp.Header.Get("Ratelimit-Reset")
	}
	used := resp.Header.Get("X-Ratelimit-Remaining") == "0"
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
	case http.StatusForbidden:
		if after == "" && !used && !strings.Contains(strings.ToLower(detail), "rate limit") {
			return time.Time{}, false
		}
	default:
		return time.Time{}, false
	}
	until := now.Add(unsaidPause)
	if seconds, err := strconv.ParseInt(after, 10, 64); err == nil {
		until = now.Add(time.Duration(min(max(seconds, 0), int64(longestPause/time.Second))) * time.Second)
	} else if date, err := http.ParseTime(after); err == nil {
		until = date
	} else if epoch, err := strconv.ParseInt(reset, 10, 64); err == nil && (used || resp.StatusCode == http.StatusTooManyRequests) {
		until = time.Unix(epoch, 0)
	}
	if until.Before(now.Add(time.Second)) {
		until = now.Add(time.Second)
	}
	if until.After(now.Add(longestPause)) {
		until = now.Add(longestPause)
	}
	return until, true
}

// complaint is what an answer says is wrong, in one line: message, and errors, error or what else GitHub, GitLab and
// Gitea use. What is no JSON of them, such as the page of a proxy, says nothing.
func complaint(data []byte) string {
	var said struct {
		Message     any `json:"message"`
		Error       any `json:"error"`
		Description any `json:"error_description"`
		Errors      any `json:"errors"`
	}
	if json.Unmarshal(data, &said) != nil {
		return ""
	}
	var words []string
	for _, v := range []any{said.Message, said.Error, said.Description, said.Errors} {
		words = append(words, flatten(v, 4)...)
	}
	return oneLine(strings.Join(words, "; "), 300)
}

// flatten gives the words of a value, down to a depth.
func flatten(v any, depth int) []string {
	if depth == 0 {
		return nil
	}
	switch v := v.(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case []any:
		var words []string
		for _, e := range v {
			words = append(words, flatten(e, depth-1)...)
		}
		return words
	case map[string]any:
		if message, ok := v["message"].(string); ok && message != "" {
			return []string{message}
		}
		var words []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			words = append(words, key+" "+strings.Join(flatten(v[key], depth-1), ", "))
		}
		return words
	}
	return nil
}
