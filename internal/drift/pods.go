package drift

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

const (
	// maxPods is how many Pods of one workload are looked at.
	maxPods = 200
	// lookAgain is how often Pods are judged while nothing happens to them, because some reasons are a matter of time.
	// It costs no request.
	lookAgain = 10 * time.Second
)

var pods = kube.Resource{Kind: corev1.SchemeGroupVersion.WithKind("Pod"), Name: "pods", Namespaced: true, Watchable: true}

// workloads are the kinds that make Pods and select them by spec.selector.
var workloads = map[schema.GroupKind]bool{
	{Group: "apps", Kind: "Deployment"}:     true,
	{Group: "apps", Kind: "StatefulSet"}:    true,
	{Group: "apps", Kind: "DaemonSet"}:      true,
	{Group: "apps", Kind: "ReplicaSet"}:     true,
	{Group: "batch", Kind: "Job"}:           true,
	{Group: "argoproj.io", Kind: "Rollout"}: true,
}

// podWatches holds one watch for each workload that is not ready, and lets go of it when the workload is. A workload is
// given some time first, so that an update that goes well costs nothing, and there is a bound to how many are watched.
type podWatches struct {
	w     *Watcher
	slots chan struct{}

	mu     sync.Mutex
	closed bool
	held   map[manifest.Ref]*podWatch
}

// podWatch is the watch of one workload's Pods.
type podWatch struct {
	all       *podWatches
	owner     manifest.Owner
	namespace string
	selector  string
	timer     *time.Timer
	ctx       context.Context //nolint:containedctx // ends with the workload being ready, not with a call
	cancel    context.CancelFunc
	// reason is what keeps the Pods from being ready, empty if nothing does.
	reason string

	mu    sync.Mutex
	pods  map[string]corev1.Pod
	dirty chan struct{}
	log   logLine
}

func newPodWatches(w *Watcher) *podWatches {
	return &podWatches{w: w, slots: make(chan struct{}, w.PodWatches), held: map[manifest.Ref]*podWatch{}}
}

// followPods begins or ends the watch of the Pods of u as its health asks.
func (w *Watcher) followPods(live manifest.Live, u *unstructured.Unstructured) {
	unready := live.Health == v1alpha1.Progressing || live.Health == v1alpha1.Degraded
	if !workloads[live.GroupKind()] || !live.Owned || live.Deleting || !unready {
		w.pods.release(live.Ref)
		return
	}
	spec, _ := u.Object["spec"].(map[string]any)
	raw, _ := spec["selector"].(map[string]any)
	var structured metav1.LabelSelector
	if runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &structured) != nil {
		return
	}
	selector, err := metav1.LabelSelectorAsSelector(&structured)
	if err != nil || selector.Empty() {
		w.pods.release(live.Ref) // of every Pod of the namespace, or of none
		return
	}
	w.pods.hold(live, selector.String())
}

// hold makes sure that the Pods of a workload are watched, soon.
func (p *podWatches) hold(live manifest.Live, selector string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if have := p.held[live.Ref]; have != nil {
		if have.selector == selector && have.owner == live.Owner {
			return
		}
		have.end()
	}
	h := &podWatch{
		all: p, owner: live.Owner, namespace: live.Namespace, selector: selector,
		pods: map[string]corev1.Pod{}, dirty: make(chan struct{}, 1),
	}
	h.ctx, h.cancel = context.WithCancel(p.w.ctx)
	p.held[live.Ref] = h
	h.timer = time.AfterFunc(p.w.PodDelay, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.closed && h.ctx.Err() == nil {
			p.w.group.Go(h.run)
		}
	})
}

// release lets go of the Pods of a workload.
func (p *podWatches) release(ref manifest.Ref) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.held[ref]; h != nil {
		h.end()
		delete(p.held, ref)
	}
}

func (h *podWatch) end() {
	h.timer.Stop()
	h.cancel()
}

func (p *podWatches) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, h := range p.held {
		h.end()
	}
}

// PodsWatched returns of how many workloads the Pods are watched now.
func (w *Watcher) PodsWatched() int { return len(w.pods.slots) }

func (p *podWatches) reason(ref manifest.Ref) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.held[ref]; h != nil {
		return h.reason
	}
	return ""
}

// run watches until the workload is let go of.
func (h *podWatch) run() {
	select {
	case h.all.slots <- struct{}{}:
	case <-h.ctx.Done():
		return
	}
	defer func() { <-h.all.slots }()
	var judging sync.WaitGroup
	defer judging.Wait()
	judging.Go(h.judge)
	selector := kube.Selector{Labels: h.selector}
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		version, err := h.list(selector)
		for err == nil {
			wait = firstWait
			err = h.all.w.conn.Watch(h.ctx, pods, h.namespace, selector, version, func(e kube.Event) error {
				version = e.Version
				return h.see(e)
			})
		}
		select {
		case <-h.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// list reads the Pods that there are.
func (h *podWatch) list(selector kube.Selector) (version string, err error) {
	found := map[string]corev1.Pod{}
	version, err = h.all.w.conn.List(h.ctx, pods, h.namespace, selector, func(u *unstructured.Unstructured) error {
		if pod, ok := podOf(u); ok && len(found) < maxPods {
			found[pod.Name] = pod
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	h.pods = found
	h.mu.Unlock()
	h.touch()
	return version, nil
}

func (h *podWatch) see(e kube.Event) error {
	if e.Type == kube.Bookmark {
		return nil
	}
	u, err := e.Object()
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.Type == kube.Deleted {
		delete(h.pods, e.Name)
	} else if pod, ok := podOf(u); ok {
		if _, known := h.pods[e.Name]; known || len(h.pods) < maxPods {
			h.pods[e.Name] = pod
		}
	}
	h.touch()
	return nil
}

// podOf reads what is looked at of a Pod.
func podOf(u *unstructured.Unstructured) (corev1.Pod, bool) {
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	var pod corev1.Pod
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &pod)
	return pod, err == nil
}

func (h *podWatch) touch() {
	select {
	case h.dirty <- struct{}{}:
	default:
	}
}

// judge says why the Pods are not ready, whenever that may have changed, and tells the App if it has.
func (h *podWatch) judge() {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-h.dirty:
		case <-ticker.C:
		case <-h.ctx.Done():
			return
		}
		h.mu.Lock()
		all := slices.Collect(maps.Values(h.pods))
		h.mu.Unlock()
		reason := ""
		if trouble, ok := health.WorstPod(all, h.all.w.Now()); ok {
			reason = trouble.String() + h.logOf(trouble, all)
		}
		h.all.mu.Lock()
		changed := h.reason != reason && h.ctx.Err() == nil
		h.reason = reason
		h.all.mu.Unlock()
		if changed {
			h.all.w.tell(h.owner)
		}
	}
}
