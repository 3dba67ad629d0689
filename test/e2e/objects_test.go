package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// ownLabel is on everything that Sengu applies.
const ownLabel = "sengu.dev/app"

// configMap is a ConfigMap with one value, as YAML.
func configMap(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\ndata:\n  value: " + fmt.Sprintf("%q", value) + "\n"
}

func serviceAccount(name string) string {
	return "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: " + name + "\n"
}

func service(name string) string {
	return "apiVersion: v1\nkind: Service\nmetadata:\n  name: " + name + "\nspec:\n  selector: {app: " + name + "}\n  ports:\n  - port: 80\n"
}

// deployment is a Deployment, with more as lines of its spec, indented by two.
func deployment(name, more string) string {
	return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ` + name + `
spec:
` + more + `
  selector:
    matchLabels: {app: ` + name + `}
  template:
    metadata:
      labels: {app: ` + name + `}
    spec:
      containers:
      - name: app
        image: registry.example.com/app:1
`
}

// fourObjects is an App of four objects, in four files of a folder.
func fourObjects(folder, name, value string) files {
	return files{
		folder + "/config.yaml": configMap(name, value), folder + "/account.yaml": serviceAccount(name),
		folder + "/service.yaml": service(name), folder + "/deployment.yaml": deployment(name, "  replicas: 1"),
	}
}

// folder of a service in an environment.
func folder(service, environment string) string { return "apps/" + service + "/" + environment }

func (s *sengu) configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.target, Name: name}}
}

func (s *sengu) deployment(name string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: s.target, Name: name}}
}

// holds is nil if a ConfigMap has that value.
func (s *sengu) holds(p *plane, name, value string) error {
	c := s.configMap(name)
	if err := s.get(p, c); err != nil {
		return err
	}
	if c.Data["value"] != value {
		return fmt.Errorf("ConfigMap %s in %s has the value %q, not %q", name, p.name, c.Data["value"], value)
	}
	return nil
}

// kinds are those that the tests deliver.
var kinds = []schema.GroupVersionKind{
	{Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "ServiceAccount"}, {Version: "v1", Kind: "Service"}, {Version: "v1", Kind: "Secret"},
	{Group: "apps", Version: "v1", Kind: "Deployment"}, {Version: "v1", Kind: "PersistentVolumeClaim"},
	{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
}

// uids returns the UIDs of what Sengu has applied in the target namespace of a plane, by kind/name.
func (s *sengu) uids(p *plane) map[string]types.UID {
	s.Helper()
	found := map[string]types.UID{}
	for _, kind := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := p.List(context.Background(), list, client.InNamespace(s.target), client.HasLabels{ownLabel}); err != nil {
			s.Fatal(err)
		}
		for i := range list.Items {
			found[kind.Kind+"/"+list.Items[i].Name] = list.Items[i].UID
		}
	}
	return found
}

// sameUIDs is nil if every object of before is there and is the same.
func sameUIDs(before, after map[string]types.UID) error {
	for _, id := range slices.Sorted(maps.Keys(before)) {
		switch after[id] {
		case before[id]:
		case "":
			return fmt.Errorf("%s was deleted", id)
		default:
			return fmt.Errorf("%s was deleted and made again", id)
		}
	}
	return nil
}

// kept fails the test unless every object of before, of which there must be count, still runs on.
func (s *sengu) kept(p *plane, before map[string]types.UID, count int) {
	s.Helper()
	if len(before) != count {
		s.Fatalf("there were %d objects in %s, not %d: %v", len(before), p.name, count, slices.Sorted(maps.Keys(before)))
	}
	if err := sameUIDs(before, s.uids(p)); err != nil {
		s.Fatalf("in %s: %v", p.name, err)
	}
}

// ids of an inventory, without what is not in the target namespace.
func ids(a *v1alpha1.App) []string {
	var found []string
	for _, entry := range a.Status.Inventory {
		found = append(found, strings.Join(strings.Split(entry.ID, "/")[1:], "/"))
	}
	return found
}

// sight is one thing that a watch has told.
type sight struct {
	event  watch.EventType
	object client.Object
}

// follower keeps what a watch tells, in order, from what is there at its start on.
type follower struct {
	s *sengu

	mu    sync.Mutex
	seen  []sight
	ended bool
	news  chan struct{}
}

// follow watches a kind in the target namespace, until the test ends or the API server does. A watch that the API server
// ends, as it does with one that is behind or old, goes on where it was.
func (s *sengu) follow(p *plane, list client.ObjectList, options ...client.ListOption) *follower {
	s.Helper()
	return s.followIn(p, s.target, list, options...)
}

// followIn is follow for another namespace than that of the Apps.
func (s *sengu) followIn(p *plane, namespace string, list client.ObjectList, options ...client.ListOption) *follower {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	from := &client.ListOptions{Namespace: namespace, Raw: &metav1.ListOptions{AllowWatchBookmarks: true}}
	from.ApplyOptions(options)
	w, err := p.Watch(ctx, list, from)
	if err != nil {
		cancel()
		s.Fatal(err)
	}
	f := &follower{s: s, news: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for err == nil {
			if !f.read(w, from.Raw) || ctx.Err() != nil {
				break
			}
			w, err = p.Watch(ctx, list, from)
		}
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
		f.tell()
	}()
	s.Cleanup(func() {
		cancel()
		<-done
	})
	return f
}

// read notes what a watch tells until it ends, and up to where that was. It reports whether a watch can go on from there.
func (f *follower) read(w watch.Interface, from *metav1.ListOptions) bool {
	defer w.Stop()
	newest, _ := strconv.ParseUint(from.ResourceVersion, 10, 64)
	for event := range w.ResultChan() {
		object, ok := event.Object.(client.Object)
		if !ok {
			return false // an error: what happened meanwhile is not told any more
		}
		if version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64); err == nil && version > newest {
			newest = version
			from.ResourceVersion = object.GetResourceVersion()
		}
		if event.Type != watch.Bookmark {
			f.note(sight{event.Type, object})
		}
	}
	return from.ResourceVersion != ""
}

func (f *follower) note(one sight) {
	f.mu.Lock()
	f.seen = append(f.seen, one)
	f.mu.Unlock()
	f.tell()
}

func (f *follower) tell() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// all returns what has been seen so far.
func (f *follower) all() []sight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		f.s.Fatal("a watch ended before its test: what it should have seen is not known")
	}
	return slices.Clone(f.seen)
}

// count returns how often the watch told of an event.
func (f *follower) count(event watch.EventType) int {
	n := 0
	for _, one := range f.all() {
		if one.event == event {
			n++
		}
	}
	return n
}

// until waits until check is nil of what has been seen, and looks as soon as there is news: for moments that pass.
func (f *follower) until(what string, check func([]sight) error) {
	f.s.Helper()
	deadline := time.After(patience)
	for {
		err := check(f.all())
		if err == nil {
			return
		}
		select {
		case <-f.news:
		case <-deadline:
			f.s.Fatalf("not within %s: %s: %v", patience, what, err)
		}
	}
}

// must fails the test at the first sight that breaks a rule.
func (f *follower) must(rule func(sight) error) {
	f.s.Helper()
	for i, one := range f.all() {
		if err := rule(one); err != nil {
			f.s.Fatalf("sight %d of %s: %v", i, one.object.GetName(), err)
		}
	}
}

// neverDeleted is the rule that nothing is deleted.
func neverDeleted(one sight) error {
	if one.event == watch.Deleted {
		return fmt.Errorf("%T %s was deleted", one.object, one.object.GetName())
	}
	return nil
}
