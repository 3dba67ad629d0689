package cli

import (
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// syncWord says s as the program prints it.
func syncWord(s v1alpha1.SyncStatus) string {
	switch s {
	case v1alpha1.Synced:
		return "synced"
	case v1alpha1.OutOfSync:
		return "out-of-sync"
	}
	return "unknown"
}

// healthWord says h as the program prints it.
func healthWord(h v1alpha1.HealthStatus) string {
	if h == "" {
		return "unknown"
	}
	return strings.ToLower(string(h))
}

// short is the part of a revision that people read; "-" when there is none.
func short(revision string) string {
	switch {
	case revision == "":
		return "-"
	case len(revision) > 7:
		return revision[:7]
	}
	return revision
}

// age says how long before now t was; "-" when it never was.
func age(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(max(0, now.Sub(t)))
}

// ago says when t was, for a sentence.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	if now.Sub(t) < time.Second {
		return "just now"
	}
	return age(now, t) + " ago"
}

// list joins words as a sentence does: "a", "a and b", "a, b and c".
func list(words []string) string { return join(words, " and ") }

// either joins words as a choice: "a", "a or b", "a, b or c".
func either(words []string) string { return join(words, " or ") }

func join(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + last + words[n]
}

// plural says how many of a thing there are.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
