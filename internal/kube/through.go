package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Answer is what a server behind the API server has answered.
type Answer struct {
	Status int
	// ContentType is what it says of its body.
	ContentType string
	// Body is as much as was asked for.
	Body []byte
	// Cut says that there is more.
	Cut bool
}

// Through sends a GET over the API server to a server behind it, as by the path of the proxy of a Service, and returns
// its answer, whatever that is, with at most limit bytes of its body. Whoever answers is not trusted: what it says of
// too many requests slows nobody down, it can redirect to nowhere, and the request takes nobody's turn however long it
// lasts, which is until ctx ends or for the timeout of the connection. It is sent once. An error says that there is no
// answer; what the API server itself refuses is an answer too.
func (c *Conn) Through(ctx context.Context, r Request, limit int64) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	target := c.base + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("get %s: %w", r.Path, unreachable(err))
	}
	request.Header.Set("Accept", "*/*")
	if r.Accept != "" {
		request.Header.Set("Accept", r.Accept)
	}
	if user := r.As.User(); user != "" {
		request.Header.Set("Impersonate-User", user)
	}
	c.counts.add("get")
	client := http.Client{
		Transport:     c.client.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, fmt.Errorf("get %s: %w", r.Path, unreachable(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer to get %s: %w", r.Path, err)
	}
	answer := Answer{Status: response.StatusCode, ContentType: response.Header.Get("Content-Type"), Body: body}
	if int64(len(body)) > limit {
		answer.Body, answer.Cut = body[:limit], true
	}
	return answer, nil
}
