package probe

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a Check.
const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = time.Minute
	maxURL         = 2048
	maxHeaders     = 20
	maxHeaderSize  = 8 << 10
)

// Check says what to look at, and what should be seen.
type Check struct {
	// URL is http://…, https://…, or service://NAME:PORT/path for a Service of the namespace that is delivered to, which
	// is asked through the API server of its cluster; service://https:NAME:PORT/path for one that speaks TLS.
	URL string
	// Method is GET, HEAD or OPTIONS: GET if empty. A look changes nothing.
	Method string
	// Headers are sent with the request, and to nobody that it redirects to.
	Headers map[string]string
	// Status lists the statuses that are as they should be: all of 200 to 299 if empty.
	Status []int
	// Body must be found in the first 64 KiB of the answer's body, if not nil.
	Body *regexp.Regexp
	// Timeout of the whole look: 10 s if zero, at most a minute.
	Timeout time.Duration
}

// Result is what a look has shown.
type Result struct {
	// OK says that it is as it should be.
	OK bool
	// Evidence says that there was an answer to judge. Without it, OK is false and nothing is known.
	Evidence bool
	// Refused says that the look was not taken, because the check asks for what is not done. Asking again does not help.
	Refused bool
	// Status of the answer, 0 without one.
	Status int
	// Took is how long the look took.
	Took time.Duration
	// Sentence says what was asked and how it ended, for people.
	Sentence string
}

// reserved are headers that are not the author's to set: they frame the request, or speak for Sengu.
var reserved = []string{
	"Connection", "Content-Length", "Expect", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")
	hostName   = regexp.MustCompile(`^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$`)
)

// IsService says whether a URL is one of a Service, which Service asks.
func IsService(rawURL string) bool { return strings.HasPrefix(strings.ToLower(rawURL), "service://") }

// Validate refuses a check that makes no sense, with a sentence that names the field. It holds no value but that of the
// method.
func (c Check) Validate() error {
	if IsService(c.URL) {
		if _, err := parseService(c.URL); err != nil {
			return err
		}
		return c.validateForService()
	}
	if _, err := parseURL(c.URL); err != nil {
		return err
	}
	return c.validate()
}

// validate looks at everything but the URL.
func (c Check) validate() error {
	switch method := c.method(); {
	case !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, method):
		return fmt.Errorf("method must be GET, HEAD or OPTIONS, and is %q: a check looks and changes nothing; have a Job do more", cutText(method, 20))
	case method == http.MethodHead && c.Body != nil:
		return errors.New("body cannot be matched with method HEAD, which gets none")
	case c.Timeout < 0 || c.Timeout > maxTimeout:
		return fmt.Errorf("timeout must be between 0 and %s", maxTimeout)
	}
	for _, status := range c.Status {
		if status < 200 || status > 599 {
			return errors.New("status must list numbers from 200 to 599")
		}
	}
	return c.validateHeaders()
}

func (c Check) validateHeaders() error {
	size := 0
	for name, value := range c.Headers {
		size += len(name) + len(value)
		switch {
		case !headerName.MatchString(name):
			return errors.New("headers holds a name that is none")
		case slices.Contains(reserved, http.CanonicalHeaderKey(name)):
			return fmt.Errorf("headers must not hold %s", http.CanonicalHeaderKey(name))
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			return fmt.Errorf("headers: the value of %s must not hold control characters", name)
		case http.CanonicalHeaderKey(name) == "Host" && !hostName.MatchString(value):
			return errors.New("headers: the value of Host must be the name of a host")
		}
	}
	if len(c.Headers) > maxHeaders || size > maxHeaderSize {
		return fmt.Errorf("headers must be at most %d, of at most %d KiB together", maxHeaders, maxHeaderSize>>10)
	}
	return nil
}

// validateForService refuses what does not get through the API server.
func (c Check) validateForService() error {
	if err := c.validate(); err != nil {
		return err
	}
	if c.method() != http.MethodGet {
		return errors.New("method must be GET for a service:// URL: the API server is asked with nothing else")
	}
	for name := range c.Headers {
		if http.CanonicalHeaderKey(name) != "Accept" {
			return errors.New("headers must not hold anything but Accept for a service:// URL: the API server would take them for its own")
		}
	}
	return nil
}

func (c Check) method() string {
	if c.Method == "" {
		return http.MethodGet
	}
	return strings.ToUpper(c.Method)
}

func (c Check) timeout() time.Duration {
	if c.Timeout == 0 {
		return defaultTimeout
	}
	return c.Timeout
}

// wants says whether a status is as it should be.
func (c Check) wants(status int) bool {
	if len(c.Status) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(c.Status, status)
}

// wanted names the statuses that are.
func (c Check) wanted() string {
	if len(c.Status) == 0 {
		return "2xx"
	}
	list := make([]string, len(c.Status))
	for i, status := range c.Status {
		list[i] = strconv.Itoa(status)
	}
	return strings.Join(list, " or ")
}

// parseURL reads an address that may be asked directly. Its errors do not repeat it.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil, errors.New("url is missing")
	case len(raw) > maxURL:
		return nil, fmt.Errorf("url must be at most %d bytes long", maxURL)
	case err != nil:
		return nil, errors.New("url cannot be read as one")
	case u.Scheme != "http" && u.Scheme != "https", u.Opaque != "":
		return nil, errors.New("url must begin with http://, https:// or service://")
	case u.User != nil:
		return nil, errors.New("url must not carry a user or a password: whoever reads the repository would have them")
	case u.Hostname() == "":
		return nil, errors.New("url must name a host")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`\@%"<>`, r) }):
		return nil, errors.New("url must name its host in plain letters, digits, dots and dashes")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// name is how an address is told: without its query, and within bounds.
func name(u *url.URL) string {
	return cutText(u.Scheme+"://"+u.Host+u.EscapedPath(), 200)
}

func cutText(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
