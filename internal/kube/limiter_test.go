package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func mustAcquire(t *testing.T, l *limiter, flow string) int {
	t.Helper()
	round, err := l.acquire(t.Context(), flow)
	if err != nil {
		t.Fatal(err)
	}
	return round
}

func TestLimiterGrowsInUseAndHalvesOnceABurst(t *testing.T) {
	l := newLimiter(4, 8)
	for range 40 {
		rounds := []int{}
		for range int(l.limit) {
			rounds = append(rounds, mustAcquire(t, l, "a"))
		}
		for _, round := range rounds {
			l.release(round, false, 0)
		}
	}
	if l.limit != 8 {
		t.Fatalf("in full use the limit should reach its bound 8, is %v", l.limit)
	}
	rounds := []int{}
	for range 8 {
		rounds = append(rounds, mustAcquire(t, l, "a"))
	}
	for _, round := range rounds {
		l.release(round, true, 0)
	}
	if l.limit != 4 {
		t.Fatalf("one burst of refusals should halve the limit once, to 4: is %v", l.limit)
	}
	for range 100 {
		l.release(mustAcquire(t, l, "a"), false, 0)
	}
	if l.limit != 4 {
		t.Fatalf("one request at a time says nothing of what the server can take: is %v", l.limit)
	}
}

func TestLimiterHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(4, 8)
		l.release(mustAcquire(t, l, "a"), true, 3*time.Second)
		start := time.Now()
		l.release(mustAcquire(t, l, "a"), false, 0)
		if waited := time.Since(start); waited != 3*time.Second {
			t.Fatalf("the next request went after %s, not 3s", waited)
		}
		l.release(mustAcquire(t, l, "a"), true, time.Hour)
		_, err := l.acquire(t.Context(), "a")
		if !apierrors.IsTooManyRequests(err) {
			t.Fatalf("a long pause should be told, not waited for: %v", err)
		}
		<-time.After(maxPause)
		mustAcquire(t, l, "a")
	})
}

func TestLimiterTakesTurnsByFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1)
		held := mustAcquire(t, l, "large")
		var mu sync.Mutex
		var order []string
		run := func(flow string) {
			round, err := l.acquire(t.Context(), flow)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, flow)
			mu.Unlock()
			l.release(round, false, 0)
		}
		for range 5 {
			go run("large")
			synctest.Wait()
		}
		go run("small")
		synctest.Wait()
		l.release(held, false, 0)
		synctest.Wait()
		want := "[large small large large large large]"
		if got := fmt.Sprint(order); got != want {
			t.Fatalf("turns: got %s, want %s", got, want)
		}
	})
}

func TestLimiterGivesBackAnAbandonedTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1)
		held := mustAcquire(t, l, "a")
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if _, err := l.acquire(ctx, "b"); !errors.Is(err, context.Canceled) {
				t.Errorf("want the context's error, got %v", err)
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		l.release(held, false, 0)
		mustAcquire(t, l, "c")
		if len(l.flows) != 0 || len(l.ring) != 0 {
			t.Fatal("an abandoned flow is kept")
		}
	})
}
