package job

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
)

const (
	// maxName leaves room for the index of a Pod of an Indexed Job, which goes into a label of 63 characters as well.
	maxName = 52
	// maxStep and maxRevision bound what the name shows of step and run; the App gets what is left.
	maxStep     = 16
	maxRevision = 7
	// hashed is how many characters of the hash are shown: 60 bits.
	hashed = 12
	// maxLabel is how long the value of a label may be.
	maxLabel = 63
)

// encoding has nothing but lower-case letters and digits.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Name returns the name of the Job of one step of an App in one run: a Release, and its try. It is the same whenever it
// is asked for, a DNS label, and another one for any other App, run or step: what it shows of them is cut and cleaned,
// and the hash at its end is of the whole. The App is one service in one environment; name it so that it is unique
// within the namespace that its Jobs run in. A run begins with the revision, which is what people know, and says after
// that what tells it from others of that revision.
func Name(app, run, step string) string {
	tail := "-" + hash(app, run, step)
	for _, part := range []string{label(run, maxRevision), label(step, maxStep)} {
		if part != "" {
			tail = "-" + part + tail
		}
	}
	head := label(app, maxName-len(tail))
	if head == "" {
		return tail[1:]
	}
	return head + tail
}

// hash is of the parts one by one, so that no part can pass for the end of another.
func hash(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return encoding.EncodeToString(h.Sum(nil))[:hashed]
}

// label returns what a DNS label can show of s, at most limit characters.
func label(s string, limit int) string {
	dash := func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			return r
		}
		return '-'
	}
	words := strings.FieldsFunc(strings.Map(dash, strings.ToLower(s)), func(r rune) bool { return r == '-' })
	s = strings.Join(words, "-")
	if len(s) > limit {
		s = strings.TrimRight(s[:limit], "-")
	}
	return s
}

// labelValue returns s as the value of a label: itself if it fits, or else its beginning and a hash of the whole.
func labelValue(s string) string {
	if len(s) <= maxLabel {
		return s
	}
	tail := "-" + hash(s)
	return strings.TrimRight(s[:maxLabel-len(tail)], "-._") + tail
}
