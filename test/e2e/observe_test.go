package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// eventually looks again and again until check returns nil, and fails the test with its last error if that takes too
// long.
func (s *sengu) eventually(what string, check func() error) {
	s.Helper()
	s.within(patience, what, check)
}

func (s *sengu) within(limit time.Duration, what string, check func() error) {
	s.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("not within %s: %s: %v", limit, what, err)
		}
		<-ticker.C
	}
}

// create makes an object.
func (s *sengu) create(p *plane, object client.Object) {
	s.Helper()
	if err := p.Create(context.Background(), object); err != nil {
		s.Fatalf("create %s: %v", object.GetName(), err)
	}
}

// get reads an object of which the name and the namespace are filled in.
func (s *sengu) get(p *plane, object client.Object) error {
	return p.Get(context.Background(), client.ObjectKeyFromObject(object), object)
}

// have reads an object that has to be there.
func (s *sengu) have(p *plane, object client.Object) {
	s.Helper()
	if err := s.get(p, object); err != nil {
		s.Fatal(err)
	}
}

// absent is nil if the object does not exist.
func (s *sengu) absent(p *plane, object client.Object) error {
	err := s.get(p, object)
	if err == nil {
		return fmt.Errorf("%T %s is there", object, object.GetName())
	}
	return client.IgnoreNotFound(err)
}

// patch merges fields into an object, as kubectl would.
func (s *sengu) patch(p *plane, object client.Object, fields string) {
	s.Helper()
	err := p.Patch(context.Background(), object, client.RawPatch("application/merge-patch+json", []byte(fields)), client.FieldOwner("kubectl-edit"))
	if err != nil {
		s.Fatalf("patch %s: %v", object.GetName(), err)
	}
}

func (s *sengu) theFleet() *v1alpha1.Fleet {
	s.Helper()
	f := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: fleetName}}
	s.have(s.home, f)
	return f
}

func (s *sengu) theCluster(name string) *v1alpha1.Cluster {
	s.Helper()
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	s.have(s.home, c)
	return c
}

func appName(service, environment string) string {
	return service + "." + environment + "." + fleetName
}

// app reads an App. One that is not there has an empty UID.
func (s *sengu) app(service, environment string) *v1alpha1.App {
	s.Helper()
	a := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: appName(service, environment)}}
	if err := s.get(s.home, a); client.IgnoreNotFound(err) != nil {
		s.Fatal(err)
	}
	return a
}

func (s *sengu) apps() ([]v1alpha1.App, error) {
	var list v1alpha1.AppList
	err := s.home.List(context.Background(), &list, client.InNamespace(s.namespace))
	return list.Items, err
}

// notSynced says what keeps an App from running what its spec says.
func notSynced(a *v1alpha1.App) error {
	if a.Status.ObservedGeneration == a.Generation && a.Status.Revision == a.Spec.Source.Revision && a.Status.Sync == v1alpha1.Synced {
		return nil
	}
	return fmt.Errorf("App %s is at %.7s (wants %.7s), %s: %s", a.Name, a.Status.Revision, a.Spec.Source.Revision, a.Status.Sync, why(a.Status.Why))
}

func why(w *v1alpha1.Why) string {
	if w == nil {
		return ""
	}
	return w.Message
}

// compared is nil once the Fleet has compared every service with commit.
func (s *sengu) compared(commit string) error {
	if err := s.followed(commit); err != nil {
		return err
	}
	if n := s.theFleet().Status.Comparing; n > 0 {
		return fmt.Errorf("%d services are being compared with %.7s", n, commit)
	}
	return nil
}

// followed is nil once the Fleet follows commit.
func (s *sengu) followed(commit string) error {
	f := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: fleetName}}
	if err := s.get(s.home, f); err != nil {
		return err
	}
	if f.Status.Revision != commit || f.Status.ObservedGeneration != f.Generation {
		return fmt.Errorf("the Fleet is at %.7s, not %.7s: %s", f.Status.Revision, commit, why(f.Status.Why))
	}
	return nil
}

// synced waits until there are so many Apps, and all run what commit says.
func (s *sengu) synced(commit string, count int) {
	s.Helper()
	s.eventually(fmt.Sprintf("%d Apps are synced at %.7s", count, commit), func() error {
		if err := s.compared(commit); err != nil {
			return err
		}
		if err := s.released(); err != nil {
			return err
		}
		apps, err := s.apps()
		if err != nil {
			return err
		}
		for i := range apps {
			if err := notSynced(&apps[i]); err != nil {
				return err
			}
		}
		if len(apps) != count {
			return fmt.Errorf("there are %d Apps", len(apps))
		}
		return nil
	})
}

// released is nil if every Release has ended.
func (s *sengu) released() error {
	var list v1alpha1.ReleaseList
	if err := s.home.List(context.Background(), &list, client.InNamespace(s.namespace)); err != nil {
		return err
	}
	for i := range list.Items {
		if r := &list.Items[i]; r.Status.Ended == nil {
			return fmt.Errorf("Release %s is %s: %s", r.Name, r.Status.Stage, why(r.Status.Why))
		}
	}
	return nil
}

// condition returns the reason and the message of a condition, and whether it is True.
func condition(conditions []metav1.Condition, kind string) (reason, message string, ok bool) {
	c := meta.FindStatusCondition(conditions, kind)
	if c == nil {
		return "", "", false
	}
	return c.Reason, c.Message, c.Status == metav1.ConditionTrue
}

// record keeps every state of Sengu's objects and every Event as evidence, until the test ends.
func (s *sengu) record() {
	s.Helper()
	file, err := s.evidence.file(s.Name() + "-" + s.namespace + ".objects")
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, list := range []func() client.ObjectList{
		func() client.ObjectList { return &v1alpha1.AppList{} }, func() client.ObjectList { return &v1alpha1.FleetList{} },
		func() client.ObjectList { return &v1alpha1.ClusterList{} }, func() client.ObjectList { return &v1alpha1.ReleaseList{} }, func() client.ObjectList { return &eventsv1.EventList{} },
	} {
		wait.Go(func() {
			for ctx.Err() == nil {
				s.recordList(ctx, list(), file, &mu)
			}
		})
	}
	s.Cleanup(func() {
		cancel()
		wait.Wait()
		_ = file.Close()
	})
}

// recordList writes what a watch tells, until it ends: at the end of the test, or when the API server is gone.
func (s *sengu) recordList(ctx context.Context, list client.ObjectList, file *os.File, mu *sync.Mutex) {
	w, err := s.home.Watch(ctx, list, client.InNamespace(s.namespace))
	if err != nil {
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
		return
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		if event.Type == watch.Bookmark || event.Type == watch.Error {
			continue
		}
		data, err := json.Marshal(event.Object)
		if err != nil {
			continue
		}
		mu.Lock()
		_, _ = file.Write(append(data, '\n'))
		mu.Unlock()
	}
}

// cleanUp ends the installation. What it applied goes with the namespaces, which nobody waits for.
func (s *sengu) cleanUp() {
	s.stop()
	for _, at := range []struct {
		plane     *plane
		namespace string
	}{{s.dev, s.target}, {s.prod, s.target}, {s.home, s.namespace}} {
		err := at.plane.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: at.namespace}})
		if err != nil && !apierrors.IsNotFound(err) {
			s.Errorf("clean up: %v", err)
		}
	}
}
