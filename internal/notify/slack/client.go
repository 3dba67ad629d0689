package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/sengu-dev/sengu/internal/notify"
)

const (
	// maxAnswer is the largest answer that is read, in bytes.
	maxAnswer = 8 << 20
	// requestTime bounds one request.
	requestTime = 10 * time.Second
	// restTime is how long Slack is left alone when it does not say how long it wants to be.
	restTime = 30 * time.Second
)

// newHTTP is a client of HTTP that follows no redirect, since none is ever meant, and waits for nothing forever.
func newHTTP() *http.Client {
	return &http.Client{
		Timeout:       requestTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: requestTime,
			DialContext:  (&net.Dialer{Timeout: requestTime}).DialContext,
			MaxIdleConns: 4, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
		},
	}
}

// bounded cuts answers off that are too large.
type bounded struct{ *http.Client }

func (b bounded) Do(req *http.Request) (*http.Response, error) {
	resp, err := b.Client.Do(req) //nolint:gosec // the address is the API or a checked one of Slack
	if resp != nil {
		resp.Body = limitedBody{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

type limitedBody struct {
	io.Reader
	io.Closer
}

// client makes a client of Slack's API for the token of now.
func (s *Sink) client(ctx context.Context) (*slackgo.Client, error) {
	token, err := s.opts.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the token for Slack: %w", err)
	}
	if token == "" {
		return nil, errors.New("the token for Slack is empty: put a bot token into the Secret")
	}
	return newClient(token, s.opts.APIURL, s.http), nil
}

func newClient(token, apiURL string, c *http.Client) *slackgo.Client {
	options := []slackgo.Option{slackgo.OptionHTTPClient(bounded{c})}
	if apiURL != "" {
		options = append(options, slackgo.OptionAPIURL(apiURL))
	}
	return slackgo.New(token, options...)
}

var (
	code = regexp.MustCompile(`^[a-z][a-z_]{1,60}$`)
	// hints are what to do about errors that a person can end.
	hints = map[string]string{
		"not_in_channel":          "invite the app to the channel",
		"channel_not_found":       "check the ID of the channel, and invite the app to it if it is private",
		"is_archived":             "the channel is archived: choose another",
		"invalid_auth":            "check the token",
		"not_authed":              "check the token",
		"token_revoked":           "the token was revoked: make a new one",
		"token_expired":           "the token has expired: make a new one",
		"account_inactive":        "the app was removed from the workspace: install it again",
		"missing_scope":           "give the app the scope that it lacks, and install it again",
		"restricted_action":       "the workspace does not let the app post in the channel",
		"team_access_not_granted": "the app has no access to this workspace",
	}
	// malformed are errors about what a message says, which will be the same the next time.
	malformed = []string{
		"invalid_blocks", "invalid_blocks_format", "invalid_arguments", "invalid_metadata_format", "invalid_metadata_schema",
		"metadata_too_large", "msg_too_long", "msg_blocks_too_long", "no_text",
	}
	// gone are errors about a message that cannot be changed any more.
	gone = []string{"message_not_found", "cant_update_message", "thread_not_found"}
	// unsure are errors after which the message may have been posted.
	unsure = []string{"internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org"}
)

// answered is the error that Slack named, or "".
func answered(err error) string {
	var refusal slackgo.SlackErrorResponse
	if errors.As(err, &refusal) && code.MatchString(refusal.Err) {
		return refusal.Err
	}
	return ""
}

// undone reports whether an error means that nothing was posted. Without an answer, nobody knows.
func undone(err error) bool {
	var limited *slackgo.RateLimitedError
	var status slackgo.StatusCodeError
	switch {
	case errors.As(err, &limited):
		return true
	case errors.As(err, &status):
		return status.Code < 500
	}
	name := answered(err)
	return name != "" && !slices.Contains(unsure, name)
}

// explain turns an error of the library, which may hold addresses, into one of notify's.
func explain(err error) error {
	var limited *slackgo.RateLimitedError
	var status slackgo.StatusCodeError
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &limited):
		return &notify.BusyError{After: limited.RetryAfter, Reason: "Slack asks for fewer messages"}
	case errors.As(err, &status) && status.Code == http.StatusTooManyRequests:
		return &notify.BusyError{After: restTime, Reason: "Slack asks for fewer messages"}
	case errors.As(err, &status):
		return fmt.Errorf("Slack answered %d", status.Code) //nolint:staticcheck // a name begins the sentence
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("Slack did not answer in time") //nolint:staticcheck // a name begins the sentence
	}
	name := answered(err)
	switch {
	case name == "ratelimited" || name == "rate_limited":
		return &notify.BusyError{After: restTime, Reason: "Slack asks for fewer messages"}
	case slices.Contains(malformed, name):
		return notify.Refused("Slack does not take this message: %s", name)
	case hints[name] != "":
		return fmt.Errorf("Slack answered %s: %s", name, hints[name]) //nolint:staticcheck // a name begins the sentence
	case name != "":
		return fmt.Errorf("Slack answered %s", name) //nolint:staticcheck // a name begins the sentence
	}
	return errors.New("Slack cannot be reached, or its answer cannot be read") //nolint:staticcheck // a name begins the sentence
}
