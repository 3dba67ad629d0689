package gitrepo

import (
	"errors"
	"slices"
	"strings"
	"unicode"
)

// Reasons for which a push fails, beside those of a fetch (ErrAuth, ErrUnreachable, ErrHostKey, ErrRemoteMissing); a
// PushError matches them through errors.Is. After each of them the remote is as somebody else left it, and nothing is
// left here.
var (
	// ErrProtected: the remote does not take the change: a protected branch, a rule or a hook.
	ErrProtected = errors.New("change refused by the remote")
	// ErrRace: the ref is not, or no longer, what the change was made on.
	ErrRace = errors.New("ref moved meanwhile")
	// ErrForeign: the branch that was to be replaced holds commits that are not ours.
	ErrForeign = errors.New("branch has commits of somebody else")
	// ErrStateMissing: the remote has no such state ref.
	ErrStateMissing = errors.New("state not found")
	// ErrSigningKey: the key that signs commits cannot be read, or cannot sign.
	ErrSigningKey = errors.New("signing key unusable")
)

// PushError says what kept a push from succeeding. No field ever holds a credential.
type PushError struct {
	URL    string
	Ref    string // the branch without refs/heads/, or a whole ref
	Head   string // where the ref is instead, when the reason is ErrForeign; the commit can be read
	Reason error  // one of the sentinels, or nil when none fits
	Detail string // what the remote or git said, one line of at most 400 bytes
}

// Error is one sentence: what, why, what was said, and the way out where there is one.
func (e *PushError) Error() string {
	var b strings.Builder
	b.WriteString("push " + e.Ref + " to " + e.URL)
	if e.Reason != nil {
		b.WriteString(": " + e.Reason.Error())
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	switch {
	case errors.Is(e.Reason, ErrProtected):
		b.WriteString("; let this credential write to the branch, or promote by pull request")
	case errors.Is(e.Reason, ErrAuth):
		b.WriteString("; give the credential the right to write, not only to read")
	}
	return b.String()
}

// Unwrap gives the reason.
func (e *PushError) Unwrap() error { return e.Reason }

// readOnly are the words of forges for a credential that may read and not write. They come without a status of the ref.
var readOnly = []string{
	"read only", "read-only", "write access", "permission to ", "not allowed to push", "denied to", "insufficient permission",
}

// raced are the words of git, here and on servers, for a ref that is not what it was.
var raced = []string{
	"stale info", "fetch first", "non-fast-forward", "incorrect old value", "cannot lock ref", "failed to update ref", "failed to lock",
	"reference already exists", "remote ref updated since checkout",
}

// troubled are the words of servers that have a fault of their own.
var troubled = []string{"internal server error", "service unavailable", "timeout", "timed out", "unreachable", "try again"}

// pushFailure reads what `git push --porcelain` printed: a line with an exclamation mark for a ref that was refused, and
// beside it what the remote said.
func pushFailure(stdout, stderr string) (detail string, reason error) {
	for line := range strings.Lines(stdout) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) >= 3 && f[0] == "!" {
			detail = oneLine(strings.TrimSpace(words(stderr) + " " + f[2]))
			return detail, refusal(strings.ToLower(f[2]))
		}
	}
	detail, reason = oneLine(lastLines(stderr)), reasonOf(stderr)
	if (reason == nil || errors.Is(reason, ErrUnreachable)) && says(stderr, readOnly) {
		reason = ErrAuth
	}
	return detail, reason
}

// refusal is what the status of a refused ref stands for.
func refusal(status string) error {
	switch {
	case says(status, raced):
		return ErrRace
	case strings.HasPrefix(status, "[remote failure]"), says(status, troubled):
		return ErrUnreachable
	case strings.HasPrefix(status, "[remote rejected]"):
		return ErrProtected
	}
	return nil
}

func says(text string, phrases []string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(text, p) })
}

// words is what the remote said for people, without what git added.
func words(stderr string) string {
	var lines []string
	for line := range strings.Lines(stderr) {
		if said, ok := strings.CutPrefix(line, "remote: "); ok && strings.TrimSpace(said) != "" {
			lines = append(lines, strings.TrimSpace(said))
		}
	}
	return strings.Join(lines, "; ")
}

// oneLine makes text of a remote fit to be shown: no control characters, and 400 bytes at most.
func oneLine(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, ""))
	if len(text) > 400 {
		text = strings.ToValidUTF8(text[:400], "") + " …"
	}
	return strings.TrimSpace(text)
}
