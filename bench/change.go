package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// touch raises what commit number i of F2 changes, and returns the service as it is then. The commits go to services
// far apart from each other.
func touch(all []service, i int) service {
	const stride = 61 // prime to 1,000
	s := &all[i*stride%len(all)]
	s.rev++
	return *s
}

// mark raises what F3 changes in every object.
func mark(all []service) {
	for i := range all {
		all[i].mark++
	}
}

// driftingObjects is how many objects F4 changes at once.
const driftingObjects = 100

// drifting chooses the objects that drift: Deployments and Services, of as many Apps as it takes.
func drifting(all []service) []task {
	n := min(driftingObjects, 2*len(all))
	tasks := make([]task, n)
	for i := range tasks {
		tasks[i] = task{all[i/2*len(all)*2/n], deployments}
		if i%2 == 1 {
			tasks[i].kind = services
		}
	}
	return tasks
}

// disturb changes one field in each object, all at once and behind Sengu's back. It returns when each change was
// answered, by kind and name.
func (c *client) disturb(ctx context.Context, tasks []task) (map[string]time.Time, error) {
	var mu sync.Mutex
	at := map[string]time.Time{}
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range tasks {
		body := `{"spec":{"externalName":"drift.example.com"}}`
		if t.kind == deployments {
			body = `{"spec":{"template":{"metadata":{"annotations":{"rev":"drift"}}}}}`
		}
		group.Go(func() error {
			if err := c.patch(ctx, t.kind.collection()+"/"+t.service.name, []byte(body)); err != nil {
				return fmt.Errorf("change %s %s: %w", t.kind.name, t.service.name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			at[t.kind.name+"/"+t.service.name] = time.Now()
			return nil
		})
	}
	return at, group.Wait()
}
