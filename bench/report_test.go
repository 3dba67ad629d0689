package main

import (
	"maps"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	var l []time.Duration
	for i := 100; i > 0; i-- {
		l = append(l, time.Duration(i)*time.Millisecond)
	}
	for p, want := range map[int]float64{50: 50, 99: 99} {
		if got := percentile(l, p); got != want {
			t.Errorf("p%d is %v, want %v", p, got, want)
		}
	}
	if got := percentile(l[:1], 99); got != 100 {
		t.Errorf("p99 of one is %v", got)
	}
	if got := percentile(nil, 99); got != 0 {
		t.Errorf("p99 of none is %v", got)
	}
}

func TestMediansAreByNumberAndOfRatiosOfOneRun(t *testing.T) {
	run := func(wall, floor float64, requests tally) []figure {
		f := figure{Workload: "f1", WallS: wall, Requests: requests}
		f.setFloor(bound{wall: time.Duration(floor * float64(time.Second))})
		return []figure{f}
	}
	got := medians([][]figure{run(10, 5, tally{"get": 3}), run(12, 10, tally{"apply": 4}), run(30, 20, tally{"apply": 6})})[0]
	if got.WallS != 12 || got.FloorS != 10 || got.Ratio != 1.5 {
		t.Errorf("wall %v, floor %v, ratio %v", got.WallS, got.FloorS, got.Ratio)
	}
	if want := (tally{"apply": 4, "get": 0}); !maps.Equal(got.Requests, want) {
		t.Errorf("requests %v, want %v", got.Requests, want)
	}
	if got := middle([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Errorf("the middle of four is %v", got)
	}
}

func TestJudge(t *testing.T) {
	noWrites := targets[len(targets)-1]
	for _, c := range []struct {
		target target
		figure figure
		want   string
	}{
		{targets[0], figure{Ratio: 2.04}, "ratio to the floor: 2.04, at most 1.7: missed by 20 %"},
		{targets[0], figure{Ratio: 1.7}, "ratio to the floor: 1.7, at most 1.7: reached"},
		{noWrites, figure{Requests: tally{"list": 5}}, "writes: 0, at most 0: reached"},
		{noWrites, figure{Requests: tally{"patch": 2, "create": 1}}, "writes: 3, at most 0: missed"},
	} {
		if got := c.target.judge(c.figure); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
