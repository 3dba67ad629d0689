package job

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/kube"
)

// podView sees the Pods of Jobs that have not succeeded.
type podView struct{ w *Watcher }

func (v podView) list() (each func(*unstructured.Unstructured), complete func(string)) {
	found := map[key]map[string]corev1.Pod{}
	each = func(u *unstructured.Unstructured) {
		k := jobOf(u)
		if pod, ok := podFrom(u); ok && len(found[k]) < maxPods {
			if found[k] == nil {
				found[k] = map[string]corev1.Pod{}
			}
			found[k][pod.Name] = pod
		}
	}
	return each, func(string) {
		v.w.judgeAll(func(k key, f *followed) {
			f.pods = found[k]
			f.podNews++
		})
	}
}

func (podView) wants(kube.Event) bool { return true }

func (podView) again() {}

func (v podView) event(u *unstructured.Unstructured, left bool) {
	w := v.w
	w.mu.Lock()
	f := w.jobs[jobOf(u)]
	changed := false
	if f != nil && !f.state.Done() {
		f.seePod(u, left)
		changed = f.known && f.judge(w.Now())
	}
	w.mu.Unlock()
	w.tell(f, changed)
}

func (f *followed) seePod(u *unstructured.Unstructured, left bool) {
	f.podNews++
	name := u.GetName()
	if left {
		delete(f.pods, name)
		return
	}
	pod, ok := podFrom(u)
	if _, have := f.pods[name]; !ok || (!have && len(f.pods) >= maxPods) {
		return
	}
	if f.pods == nil {
		f.pods = map[string]corev1.Pod{}
	}
	f.pods[name] = pod
}

// jobOf names the Job of a Pod.
func jobOf(u *unstructured.Unstructured) key {
	return key{u.GetNamespace(), u.GetLabels()[batchv1.JobNameLabel]}
}

// readPodsTries is how often the Pods of one Job are read again because something happened to them meanwhile.
const readPodsTries = 5

// readPods lists the Pods of one Job.
func (w *Watcher) readPods(f *followed) {
	for range readPodsTries {
		w.mu.Lock()
		news := f.podNews
		w.mu.Unlock()
		if !w.turn() {
			return
		}
		all, err := podsOf(w.ctx, w.conn, kube.As{}, f.spec.Namespace, f.spec.Name)
		w.endTurn()
		if err != nil {
			return // the watch tells when anything happens to them
		}
		w.mu.Lock()
		current := f.podNews == news && !f.state.Done()
		changed := false
		if current {
			f.pods = map[string]corev1.Pod{}
			for _, pod := range all {
				if pod.Status.Phase != corev1.PodSucceeded {
					f.pods[pod.Name] = pod
				}
			}
			changed = f.judge(w.Now())
		}
		w.mu.Unlock()
		w.tell(f, changed)
		if current {
			return
		}
	}
}

// judgeAll judges every Job that runs, after change, and tells of those that have changed.
func (w *Watcher) judgeAll(change func(key, *followed)) {
	var news []*followed
	w.mu.Lock()
	now := w.Now()
	for k, f := range w.jobs {
		if f.state.Done() {
			continue
		}
		change(k, f)
		if f.known && f.judge(now) {
			news = append(news, f)
		}
	}
	w.mu.Unlock()
	for _, f := range news {
		w.tell(f, true)
	}
}

// judgeAgain judges every Job now and then, and asks those that have no Pods for the reason.
func (w *Watcher) judgeAgain(ctx context.Context) {
	ticker := time.NewTicker(w.LookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		w.judgeAll(func(key, *followed) {})
		w.askPodless()
	}
}
