package job

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sengu-dev/sengu/internal/kube"
)

const (
	// maxSections is of how many runs of containers the log is read.
	maxSections = 20
	// firstLines is how many lines of a log are asked for at first, and fewer fraction by fraction while they do not fit.
	firstLines = 4096
	fraction   = 8
	// minAnswer is the least that is asked for of a log, in bytes, so that few logs have to be asked for twice.
	minAnswer = 256 << 10
	// maxSecrets is how many Secrets are read to hide their values.
	maxSecrets = 50
)

// section is the log of one run of one container.
type section struct {
	pod, container string
	previous       bool
	head           string
	started        bool
}

// Logs returns the end of what the Pods of a Job have logged, at most about limit bytes: the newest attempt first, each
// with a line at its head that says which it is and how it ended. The values that mask knows are hidden before anything
// is cut, and so is what would steer a terminal. Without Pods, it is empty. The error is a *Refusal.
func Logs(ctx context.Context, conn *kube.Conn, as kube.As, namespace, name string, limit int64, mask Mask) ([]byte, error) {
	all, err := podsOf(ctx, conn, as, namespace, name)
	if err != nil {
		return nil, refuseLog(namespace, name, as, err)
	}
	sections := sectionsOf(all)
	var out bytes.Buffer
	for i, s := range sections {
		room := (limit - int64(out.Len())) / int64(len(sections)-i)
		if room <= 0 {
			break
		}
		fmt.Fprintf(&out, "=== %s ===\n", s.head)
		if !s.started {
			continue
		}
		text, err := tail(ctx, conn, as, namespace, s, room, mask)
		switch {
		case ctx.Err() != nil:
			return nil, refuseLog(namespace, name, as, ctx.Err())
		case apierrors.IsForbidden(err):
			return nil, refuseLog(namespace, name, as, err)
		case err != nil:
			reason, _ := explain(namespace, "read", kube.As{}, err)
			fmt.Fprintf(&out, "(its log cannot be read: %s)\n", reason)
		default:
			out.Write(text)
		}
	}
	return out.Bytes(), nil
}

func refuseLog(namespace, name string, as kube.As, err error) *Refusal {
	reason, temporary := explain(namespace, "read", kube.As{}, err)
	if apierrors.IsForbidden(err) && as.User() != "" {
		reason = fmt.Sprintf("the service account %s/%s may not: give it a Role that allows list on pods and get on pods/log and secrets", as.Namespace, as.Name)
	}
	return &Refusal{Sentence: fmt.Sprintf("the log of Job %s/%s could not be read: %s", namespace, name, reason), Temporary: temporary, err: err}
}

// sectionsOf lists what there is to read, the newest Pod first, and its containers in the order in which they run.
func sectionsOf(all []corev1.Pod) []section {
	slices.SortStableFunc(all, func(a, b corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), strings.Compare(b.Name, a.Name))
	})
	var list []section
	for i := range all {
		pod := &all[i]
		of := ""
		if len(all) > 1 {
			of = fmt.Sprintf(", attempt %d of %d", len(all)-i, len(all))
		}
		statuses := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
		for _, c := range statuses {
			s := section{pod: pod.Name, container: c.Name, started: c.State.Running != nil || c.State.Terminated != nil}
			what := "Pod " + pod.Name + of + ", container " + c.Name
			if c.RestartCount > 0 && c.LastTerminationState.Terminated != nil {
				before := section{pod: pod.Name, container: c.Name, previous: true, started: true}
				before.head = what + ", the run before: " + outcome(corev1.ContainerState{Terminated: c.LastTerminationState.Terminated})
				list = append(list, before)
			}
			s.head = what + ": " + outcome(c.State)
			list = append(list, s)
		}
		if len(statuses) == 0 {
			list = append(list, section{head: "Pod " + pod.Name + of + ": it has not started"})
		}
	}
	return list[:min(len(list), maxSections)]
}

func outcome(state corev1.ContainerState) string {
	switch {
	case state.Terminated != nil && state.Terminated.Reason == "OOMKilled":
		return "used more memory than its limit allows (OOMKilled)"
	case state.Terminated != nil:
		return fmt.Sprintf("exited with code %d", state.Terminated.ExitCode)
	case state.Running != nil:
		return "is running"
	case state.Waiting != nil && state.Waiting.Reason != "":
		return "has not started: " + state.Waiting.Reason
	default:
		return "has not started"
	}
}

// tail returns the end of one log, at most limit bytes. The API server cuts what it sends at its end, so it is asked
// for fewer lines until the end is there.
func tail(ctx context.Context, conn *kube.Conn, as kube.As, namespace string, s section, limit int64, mask Mask) ([]byte, error) {
	most := max(2*limit, minAnswer)
	for lines := firstLines; ; lines = max(1, lines/fraction) {
		query := url.Values{
			"container": {s.container}, "previous": {strconv.FormatBool(s.previous)},
			"tailLines": {strconv.Itoa(lines)}, "limitBytes": {strconv.FormatInt(most, 10)},
		}
		text, err := conn.Do(ctx, kube.Request{Verb: "get", Path: pods.Path(namespace, s.pod) + "/log", Query: query, Accept: "*/*", As: as})
		if err != nil {
			return nil, err
		}
		cutOff := int64(len(text)) >= most
		if cutOff && lines > 1 {
			continue
		}
		text = mask.Hide(text)
		if cutOff {
			// The end of it may be the beginning of a value.
			text = text[:max(0, len(text)-mask.longest)]
		}
		return last(mask.Hide(printable(text)), limit), nil
	}
}

// escapes are the sequences by which a program steers a terminal.
var escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])`)

// printable makes a log one that can be shown anywhere.
func printable(text []byte) []byte {
	text = escapes.ReplaceAll(bytes.ToValidUTF8(text, []byte("�")), nil)
	return bytes.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return -1
		}
		return r
	}, text)
}

// left stands where the beginning of a log is left out.
const left = "(what was logged before is left out)\n"

// last returns the last lines of text that fit into limit bytes, ended by a line break.
func last(text []byte, limit int64) []byte {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	if int64(len(text)) <= limit {
		return text
	}
	text = text[int64(len(text))-max(0, limit-int64(len(left))):]
	if at := bytes.IndexByte(text, '\n'); at >= 0 && at < len(text)-1 {
		text = text[at+1:]
	}
	return append([]byte(left), bytes.ToValidUTF8(text, nil)...)
}

// SecretsOf returns a Mask of the values of every Secret that the Pods of a Job read, for Logs. A Secret that is not
// there has no values to hide; one that cannot be read is an error, because then nothing is known to be hidden. The
// error is a *Refusal.
func SecretsOf(ctx context.Context, conn *kube.Conn, as kube.As, namespace, name string) (Mask, error) {
	all, err := podsOf(ctx, conn, as, namespace, name)
	if err != nil {
		return Mask{}, refuseLog(namespace, name, as, err)
	}
	names := map[string]bool{}
	for i := range all {
		secretsIn(&all[i].Spec, names)
	}
	if len(names) > maxSecrets {
		return Mask{}, &Refusal{Sentence: fmt.Sprintf("the log of Job %s/%s is not shown: its Pods read %d Secrets, and the values of at most %d are hidden", namespace, name, len(names), maxSecrets)}
	}
	var values [][]byte
	for secret := range names {
		found, err := valuesOf(ctx, conn, as, namespace, secret)
		if err != nil && !apierrors.IsNotFound(err) {
			return Mask{}, refuseLog(namespace, name, as, err)
		}
		values = append(values, found...)
	}
	return NewMask(values...), nil
}
