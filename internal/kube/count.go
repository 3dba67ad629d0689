package kube

import "sync"

// counter counts requests by verb. The zero value is ready.
type counter struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (c *counter) add(verb string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int64{}
	}
	c.counts[verb]++
}

// Requests returns how many requests were sent, by verb (get, list, watch, create, update, patch, delete, discover). A
// request that the server told us to send again counts each time.
func (c *Conn) Requests() map[string]int64 {
	c.counts.mu.Lock()
	defer c.counts.mu.Unlock()
	counts := make(map[string]int64, len(c.counts.counts))
	for verb, n := range c.counts.counts {
		counts[verb] = n
	}
	return counts
}
