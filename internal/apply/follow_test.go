package apply_test

import (
	"context"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/internal/kube"
)

// follow watches one object from now on and returns a function that says, once and for all, what read made of each of
// its states.
func (a *app) follow(collection, name string, read func(*unstructured.Unstructured) int64) func() []int64 {
	a.t.Helper()
	parts := strings.Split(strings.TrimPrefix(collection, "/"), "/") // apis, group, version, NS, resource
	r := kube.Resource{Kind: schema.GroupVersionKind{Group: parts[1], Version: parts[2]}, Name: parts[4], Namespaced: true}
	ctx, cancel := context.WithCancel(a.t.Context())
	var mu sync.Mutex
	var values []int64
	version := a.get(collection, name).GetResourceVersion()
	latest := version
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.conn.Watch(ctx, r, a.namespace, kube.Selector{Fields: "metadata.name=" + name}, version, func(e kube.Event) error {
			mu.Lock()
			defer mu.Unlock()
			latest = e.Version
			if e.Type == kube.Bookmark {
				return nil
			}
			u, err := e.Object()
			if err == nil {
				values = append(values, read(u))
			}
			return err
		})
	}()
	return func() []int64 {
		// Once the watch has told of the state that is there now, it has told of all before it.
		for last := a.get(collection, name).GetResourceVersion(); ; {
			mu.Lock()
			done := latest >= last || len(latest) > len(last)
			mu.Unlock()
			if done || ctx.Err() != nil {
				break
			}
		}
		cancel()
		<-done
		mu.Lock()
		defer mu.Unlock()
		return values
	}
}
