package drift

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"

	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/kube"
)

const (
	// maxLog is how much of a log is read, in bytes, and maxLines how many lines, from its end.
	maxLog   = 8 << 10
	maxLines = 10
	// maxLine is how much of its last line is told, in characters.
	maxLine = 200
)

// logLine is the last line of one run of a container, so that it is fetched once for each run.
type logLine struct {
	pod, container string
	previous       bool
	run            int32
	text           string
}

// logOf returns the last line of the log of the container in trouble, if that is likely to tell more, as the rest of a
// sentence. A log that cannot be read is no trouble of its own.
func (h *podWatch) logOf(t health.Trouble, all []corev1.Pod) string {
	if !t.Log {
		return ""
	}
	want := logLine{pod: t.Pod, container: t.Container, previous: t.Previous, run: restarts(t, all)}
	have := h.log
	have.text = ""
	if have != want {
		want.text = h.fetch(t)
		h.log = want
	}
	if h.log.text == "" {
		return ""
	}
	return "; it last logged " + strconv.Quote(h.log.text)
}

func restarts(t health.Trouble, all []corev1.Pod) int32 {
	for i := range all {
		if all[i].Name != t.Pod {
			continue
		}
		for _, list := range [][]corev1.ContainerStatus{all[i].Status.ContainerStatuses, all[i].Status.InitContainerStatuses} {
			for _, c := range list {
				if c.Name == t.Container {
					return c.RestartCount
				}
			}
		}
	}
	return 0
}

func (h *podWatch) fetch(t health.Trouble) string {
	query := url.Values{
		"tailLines": {strconv.Itoa(maxLines)}, "limitBytes": {strconv.Itoa(maxLog)}, "previous": {strconv.FormatBool(t.Previous)},
	}
	if t.Container != "" {
		query.Set("container", t.Container)
	}
	body, err := h.all.w.conn.Do(h.ctx, kube.Request{
		Verb: "get", Path: pods.Path(h.namespace, t.Pod) + "/log", Query: query, Accept: "*/*",
	})
	if err != nil {
		return ""
	}
	return lastLine(body)
}

// secrets finds what programs print of their credentials: the password of a URL, and what follows a telling name.
var secrets = []struct {
	find *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`://[^/\s:@]*:[^/\s@]+@`), "://***@"},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}`), "$1 ***"},
	{regexp.MustCompile(`(?i)([a-z0-9_.-]*(?:passwd|password|secret|token|api[_-]?key|credential)[a-z0-9_.-]*["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;&]+)`), "$1***"},
}

// lastLine returns the last line of a log that holds anything, as one that can be shown anywhere: without control
// characters, without what looks like a credential, and cut to a bearable length.
func lastLine(log []byte) string {
	lines := strings.Split(strings.ToValidUTF8(string(log), "�"), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				return ' '
			}
			return r
		}, lines[i])
		line = strings.Join(strings.Fields(line), " ")
		if line == "" {
			continue
		}
		for _, s := range secrets {
			line = s.find.ReplaceAllString(line, s.with)
		}
		if runes := []rune(line); len(runes) > maxLine {
			line = string(runes[:maxLine-1]) + "…"
		}
		return line
	}
	return ""
}
