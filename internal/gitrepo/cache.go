package gitrepo

import (
	"container/list"
	"sync"
)

// cache keeps the objects that were used last, up to a number of bytes. Git objects never change, so that nothing in
// it can be stale, and one cache serves every repository.
type cache struct {
	mu    sync.Mutex
	limit int64
	used  int64
	order *list.List // of *cached, the last used first
	byKey map[string]*list.Element
}

type cached struct {
	key   string
	value any
	size  int64
}

// overhead is roughly what an entry costs beside its value, in bytes.
const overhead = 200

func newCache(limit int64) *cache {
	return &cache{limit: limit, order: list.New(), byKey: map[string]*list.Element{}}
}

func (c *cache) get(key string) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).value, true
}

// put keeps a value that costs size bytes, unless it alone is more than an eighth of the cache.
func (c *cache) put(key string, value any, size int64) {
	size += overhead
	if size > c.limit/8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok {
		return
	}
	c.byKey[key] = c.order.PushFront(&cached{key: key, value: value, size: size})
	c.used += size
	for c.used > c.limit {
		last := c.order.Back()
		old := c.order.Remove(last).(*cached)
		delete(c.byKey, old.key)
		c.used -= old.size
	}
}
