package job

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sengu-dev/sengu/internal/kube"
)

const (
	// lastPause is the longest time after which a Job without Pods is asked again.
	lastPause = 5 * time.Minute
	// maxEvents is how many events of a Job are read.
	maxEvents = 50
)

// askPodless asks for the events of the Jobs that run and have had no Pod for a while: a quota, a policy or a service
// account that is not there keeps them from being made, and the Job itself does not say so.
func (w *Watcher) askPodless() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.Now()
	for _, f := range w.jobs {
		if !f.known || f.state.Done() || f.asking || len(f.pods) > 0 || now.Before(f.ask) || now.Sub(f.since) < w.LookAgain {
			continue
		}
		f.asking = true
		f.pause = min(max(2*f.pause, w.LookAgain), lastPause)
		f.ask = now.Add(f.pause)
		uid := f.said.UID
		w.apart(func() {
			if !w.turn() {
				return
			}
			defer w.endTurn()
			reason := w.refusalOf(f.spec, uid)
			w.mu.Lock()
			f.asking = false
			if reason != "" && len(f.pods) == 0 {
				f.podless, f.last = reason, reason
			}
			changed := !f.state.Done() && f.judge(w.Now())
			w.mu.Unlock()
			w.tell(f, changed)
		})
	}
}

// refusalOf says why the Job of that UID cannot make its Pods, if an event tells.
func (w *Watcher) refusalOf(s Spec, uid string) string {
	body, err := w.conn.Do(w.ctx, kube.Request{
		Verb: "list", Path: "/api/v1/namespaces/" + s.Namespace + "/events", Flow: s.Owner.UID,
		Query: url.Values{"fieldSelector": {"involvedObject.uid=" + uid + ",reason=FailedCreate"}, "limit": {strconv.Itoa(maxEvents)}},
	})
	var list corev1.EventList
	if err != nil || json.Unmarshal(body, &list) != nil || len(list.Items) == 0 {
		return ""
	}
	newest := slices.MaxFunc(list.Items, func(a, b corev1.Event) int {
		return cmp.Or(a.LastTimestamp.Compare(b.LastTimestamp.Time), a.EventTime.Compare(b.EventTime.Time))
	})
	return "it cannot make its Pods: " + cut(strings.Join(strings.Fields(newest.Message), " "))
}
