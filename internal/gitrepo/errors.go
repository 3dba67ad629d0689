package gitrepo

import (
	"errors"
	"fmt"
	"strings"
)

// Reasons for which a fetch fails; FetchError matches them through errors.Is. After each of them everything that was
// fetched before is still here.
var (
	// ErrUnreachable: no answer from the remote (name, network, TLS, time-out, or an error of the server itself).
	ErrUnreachable = errors.New("remote unreachable")
	// ErrAuth: the remote refused the credential, or wants one and none was given.
	ErrAuth = errors.New("authentication refused")
	// ErrHostKey: the ssh host is not the one of known_hosts, or not in it.
	ErrHostKey = errors.New("ssh host key not trusted")
	// ErrRemoteMissing: the remote says that there is no such repository. Some forges say so when access is missing.
	ErrRemoteMissing = errors.New("repository not found")
	// ErrEmpty: the repository has no branch at all.
	ErrEmpty = errors.New("repository is empty")
	// ErrBranchMissing: the repository has branches, and this is none of them.
	ErrBranchMissing = errors.New("branch not found")
	// ErrRevisionMissing: the remote does not give the commit away, or has none of that name.
	ErrRevisionMissing = errors.New("revision not found")
	// ErrRedirect: the remote is elsewhere now; a credential is not sent after a redirect.
	ErrRedirect = errors.New("remote redirects")
	// ErrRejected: what came is not acceptable: damaged or malformed objects, or more bytes than allowed.
	ErrRejected = errors.New("objects refused")
)

// Errors of reading.
var (
	// ErrUnknownRevision: the mirror has no such commit.
	ErrUnknownRevision = errors.New("unknown revision")
	// ErrAmbiguous: more than one commit begins like this.
	ErrAmbiguous = errors.New("ambiguous revision")
	// ErrCorrupt: an object that must be here is missing or damaged; the next Fetch makes the mirror anew.
	ErrCorrupt = errors.New("mirror is damaged")
	// ErrClosed: the Store is closed.
	ErrClosed = errors.New("store is closed")
)

// FetchError says what kept a fetch from succeeding. No field ever holds a credential.
type FetchError struct {
	URL    string
	Ref    string // the branch, tag or commit that was asked for; "" when it did not come to that
	Reason error  // one of the sentinels above, or nil when none fits
	Detail string // what git or the server said, one line
}

// Error is one sentence: what, why, and what was said.
func (e *FetchError) Error() string {
	var b strings.Builder
	b.WriteString("fetch ")
	if e.Ref != "" {
		b.WriteString(e.Ref + " of ")
	}
	b.WriteString(e.URL)
	if e.Reason != nil {
		b.WriteString(": " + e.Reason.Error())
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

// Unwrap gives the reason.
func (e *FetchError) Unwrap() error { return e.Reason }

// LinkError is a symbolic link that is refused. It is never fs.ErrNotExist, because the link is there.
type LinkError struct {
	Link   string // path of the link in the repository
	Target string // what it says
	Reason string // why it is not followed
}

// Error names the link and what is wrong with it.
func (e *LinkError) Error() string {
	return fmt.Sprintf("symbolic link %s -> %s: %s", e.Link, e.Target, e.Reason)
}

// TooLargeError is a file that is not loaded because of its size.
type TooLargeError struct {
	Path        string
	Size, Limit int64 // bytes
}

// Error names the file, its size and the limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s has %d bytes, and files over %d bytes are not read", e.Path, e.Size, e.Limit)
}

// reasonOf finds the reason in what git printed. Order matters: the first match wins.
func reasonOf(stderr string) error {
	text := strings.ToLower(stderr)
	for _, p := range gitSays {
		for _, phrase := range p.phrases {
			if strings.Contains(text, phrase) {
				return p.reason
			}
		}
	}
	return nil
}

var gitSays = []struct {
	reason  error
	phrases []string
}{
	{ErrHostKey, []string{"host key verification failed", "remote host identification has changed", "host key is known for"}},
	{ErrAuth, []string{
		"permission denied (", "authentication failed", "could not read username", "could not read password",
		"http 401", "http 403", "returned error: 401", "returned error: 403", "access denied", "not authorized",
	}},
	{ErrRedirect, []string{
		"returned error: 301", "returned error: 302", "returned error: 307", "returned error: 308", "unable to update url base",
	}},
	{ErrBranchMissing, []string{"couldn't find remote ref"}},
	{ErrRevisionMissing, []string{
		"not our ref", "unadvertised object", "remote error: upload-pack: not our ref", "no such remote ref",
	}},
	{ErrRemoteMissing, []string{
		"repository not found", "does not appear to be a git repository", "' not found", "returned error: 404",
		"project you were looking for could not be found", "no such file or directory", "does not exist",
	}},
	{ErrCorrupt, []string{
		"is corrupt", "is empty", "bad object", "object file", "bad tree object",
		"unable to read", "missing blob", "missing tree", "missing commit", "not a git repository", "bad pack header",
		"inflate", "unresolved deltas", "is too small", "bad config", "unresolvable reference", "invalid sha1 pointer",
	}},
	{ErrRejected, []string{"fsck error", "error in object", "exceeds maximum", "file size limit exceeded", "broken link"}},
	{ErrUnreachable, []string{
		"could not resolve host", "connection refused", "connection timed out", "failed to connect", "couldn't connect",
		"network is unreachable", "no route to host", "operation timed out", "operation too slow", "connection reset",
		"ssl certificate problem", "certificate verif", "gnutls", "returned error: 5", "early eof", "hung up unexpectedly",
		"could not read from remote", "connection closed", "kex_exchange", "unable to access",
	}},
}
