package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Do takes one look at an http or https address. It always returns what came of it, and lasts no longer than the
// check's timeout.
func Do(ctx context.Context, c *Client, check Check) Result {
	start := c.now()
	u, err := parseURL(check.URL)
	if err == nil {
		err = check.validate()
	}
	if err != nil {
		return refused(err)
	}
	ctx, cancel := context.WithTimeout(ctx, check.timeout())
	defer cancel()
	result := c.look(ctx, u, check)
	result.Took = max(0, c.now().Sub(start))
	result.Sentence = check.method() + " " + name(u) + " " + result.Sentence
	if result.Status != 0 {
		result.Sentence += fmt.Sprintf(" (%s)", result.Took.Round(time.Millisecond))
	}
	return result
}

// look follows redirects until there is an answer. Its sentence goes on where the address ends.
func (c *Client) look(ctx context.Context, first *url.URL, check Check) Result {
	at, by, own := first, "", true
	for hop := 0; ; hop++ {
		response, done, err := c.ask(ctx, at, check, own) //nolint:bodyclose // done closes it
		if err != nil {
			done()
			return notAsked(ctx, err, by)
		}
		if check.wants(response.StatusCode) || !redirects(response) {
			result := judge(ctx, check, response.StatusCode, response.Body, by)
			done()
			return result
		}
		location := response.Header.Get("Location")
		done()
		next, err := at.Parse(location)
		if err == nil {
			next, err = parseURL(next.String())
		}
		switch {
		case err != nil:
			return Result{Evidence: true, Status: response.StatusCode, Sentence: fmt.Sprintf("answered %d, a redirect to where no check goes", response.StatusCode)}
		case hop == maxRedirects:
			return Result{Evidence: true, Status: response.StatusCode, Sentence: fmt.Sprintf("redirects more than %d times", maxRedirects)}
		case at.Scheme == "https" && next.Scheme != "https":
			return Result{Evidence: true, Status: response.StatusCode, Sentence: fmt.Sprintf("answered %d, a redirect from https to http, which is not followed", response.StatusCode)}
		}
		own = own && origin(next) == origin(at)
		at, by = next, "redirects to "+cutText(next.Scheme+"://"+next.Host, 200)+", which "
	}
}

// redirects says whether an answer sends the client elsewhere.
func redirects(r *http.Response) bool {
	moved := []int{
		http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
	}
	return slices.Contains(moved, r.StatusCode) && r.Header.Get("Location") != ""
}

// ask sends one request, with the headers of the check only to where its author meant them to go: own says so. The
// caller ends it with done, also after an error.
func (c *Client) ask(ctx context.Context, u *url.URL, check Check, own bool) (response *http.Response, done func(), err error) {
	request, err := http.NewRequestWithContext(ctx, check.method(), u.String(), nil)
	if err != nil {
		return nil, func() {}, err
	}
	request.Header.Set("User-Agent", c.agent)
	request.Header.Set("Accept", "*/*")
	for key, value := range check.Headers {
		if !own {
			break
		}
		if http.CanonicalHeaderKey(key) == "Host" {
			request.Host = value
			continue
		}
		request.Header.Set(key, value)
	}
	transport := c.transport(u)
	response, err = transport.RoundTrip(request)
	return response, func() {
		if response != nil {
			_ = response.Body.Close()
		}
		transport.CloseIdleConnections()
	}, err
}

// judge says whether an answer is as it should be. by says who sent the client there.
func judge(ctx context.Context, check Check, status int, body io.Reader, by string) Result {
	r := Result{Evidence: true, Status: status}
	if !check.wants(status) {
		r.Sentence = fmt.Sprintf("%sanswered %d, and not %s", by, status, check.wanted())
		return r
	}
	if check.Body == nil {
		r.OK, r.Sentence = true, fmt.Sprintf("%sanswered %d", by, status)
		return r
	}
	text, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil && len(text) <= maxBody {
		why := "its answer broke off"
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			why = "it did not finish its answer in time"
		}
		return Result{Sentence: by + "could not be judged: " + why}
	}
	return matched(check, status, text, by)
}

// matched judges the body of an answer whose status is as it should be.
func matched(check Check, status int, text []byte, by string) Result {
	r := Result{Evidence: true, Status: status}
	where := ""
	if len(text) > maxBody {
		text, where = text[:maxBody], fmt.Sprintf(" in its first %d KiB", maxBody>>10)
	}
	if r.OK = check.Body.Match(text); r.OK {
		r.Sentence = fmt.Sprintf("%sanswered %d, with a body that matches", by, status)
	} else {
		r.Sentence = fmt.Sprintf("%sanswered %d, with a body that does not match%s", by, status, where)
	}
	return r
}

func refused(err error) Result {
	return Result{Refused: true, Sentence: "the check is not asked: " + err.Error()}
}
