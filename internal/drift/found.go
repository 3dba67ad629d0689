package drift

import (
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// maxFound bounds what is kept of drifted objects, in bytes of their JSON.
const maxFound = 4 << 20

// finds keeps objects that drifted as the watch has shown them, until they are put back: so that it can be said which
// fields it were, and who had changed them, without another request. If there are too many, some are let go. The zero
// value is ready. It is safe for concurrent use.
type finds struct {
	mu      sync.Mutex
	objects map[manifest.Ref]find
	size    int
}

type find struct {
	object *unstructured.Unstructured
	size   int
}

func (f *finds) keep(ref manifest.Ref, u *unstructured.Unstructured, size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(ref)
	for other := range f.objects {
		if f.size+size <= maxFound {
			break
		}
		f.remove(other)
	}
	if f.size+size > maxFound {
		return
	}
	if f.objects == nil {
		f.objects = map[manifest.Ref]find{}
	}
	f.objects[ref] = find{u, size}
	f.size += size
}

func (f *finds) of(ref manifest.Ref) *unstructured.Unstructured {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[ref].object
}

func (f *finds) drop(ref manifest.Ref) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(ref)
}

func (f *finds) remove(ref manifest.Ref) {
	f.size -= f.objects[ref].size
	delete(f.objects, ref)
}
