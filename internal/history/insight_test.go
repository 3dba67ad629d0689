package history_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/history"
)

var start = time.Date(2030, time.April, 1, 9, 0, 0, 0, time.UTC)

// story writes events of one service in one environment, an hour after one another unless at is told.
type story struct {
	at     time.Time
	events []history.Event
}

func (s *story) add(after time.Duration, kind history.Kind, release string, change ...func(*history.Event)) {
	s.at = s.at.Add(after)
	e := history.Event{
		Key: fmt.Sprintf("%04d", len(s.events)), Time: s.at, Kind: kind,
		Fleet: "shop", Service: "checkout", Environment: "production", Release: release, Committed: s.at.Add(-2 * time.Hour),
	}
	for _, c := range change {
		c(&e)
	}
	s.events = append(s.events, e)
}

func untouched(e *history.Event) { e.Untouched = true }

func seconds(d time.Duration) *float64 { v := d.Seconds(); return &v }

// TestWhatCounts tells a short story in each row, of which every figure is known. Rates are left to TestEvidence.
func TestWhatCounts(t *testing.T) {
	h := time.Hour
	type counts struct {
		deployments, changes, failures, stopped, down, restores int
		restored                                                time.Duration // in total
	}
	cases := map[string]struct {
		reason string
		tell   func(s *story)
		want   counts
	}{
		"Done": {
			reason: "a change that is done is a deployment",
			tell:   func(s *story) { s.add(h, history.Started, "a"); s.add(h, history.Done, "a") },
			want:   counts{deployments: 1, changes: 1},
		},
		"DoneTwice": {
			reason: "the same Done told twice is one deployment",
			tell:   func(s *story) { s.add(h, history.Done, "a"); s.add(h, history.Done, "a") },
			want:   counts{deployments: 1, changes: 1},
		},
		"Passed": {
			reason: "an environment that was passed unchanged saw no change",
			tell:   func(s *story) { s.add(h, history.Passed, "a") },
		},
		"FailedAndRolledBack": {
			reason: "the roll-back of what failed is not a second failure, and restores the service",
			tell: func(s *story) {
				s.add(h, history.Started, "a")
				s.add(h, history.Failed, "a")
				s.add(2*h, history.RolledBack, "a")
				s.add(h, history.Held, "")
			},
			want: counts{changes: 1, failures: 1, restores: 1, restored: 2 * h},
		},
		"FailedAndRepaired": {
			reason: "the next Done restores the service",
			tell: func(s *story) {
				s.add(h, history.Failed, "a")
				s.add(3*h, history.Done, "b")
			},
			want: counts{deployments: 1, changes: 2, failures: 1, restores: 1, restored: 3 * h},
		},
		"FailedTwice": {
			reason: "a second failure while the service is down is a second failed change and the same outage",
			tell: func(s *story) {
				s.add(h, history.Failed, "a")
				s.add(h, history.Failed, "b")
				s.add(h, history.Done, "c")
			},
			want: counts{deployments: 1, changes: 3, failures: 2, restores: 1, restored: 2 * h},
		},
		"Retried": {
			reason: "a Release that failed and was then done has reached the environment twice",
			tell:   func(s *story) { s.add(h, history.Failed, "a"); s.add(h, history.Done, "a") },
			want:   counts{deployments: 1, changes: 2, failures: 1, restores: 1, restored: h},
		},
		"StillDown": {
			reason: "what is not restored yet is shown as such",
			tell:   func(s *story) { s.add(h, history.Failed, "a") },
			want:   counts{changes: 1, failures: 1, down: 1},
		},
		"Untouched": {
			reason: "a failed migration never changed the environment, so that there is nothing to restore",
			tell: func(s *story) {
				s.add(h, history.Started, "a")
				s.add(h, history.Failed, "a", untouched)
				s.add(h, history.Done, "b")
			},
			want: counts{deployments: 1, changes: 1, stopped: 1},
		},
		"RolledBackLater": {
			reason: "a person's roll-back makes the last change a failed one, down since it was done",
			tell: func(s *story) {
				s.add(h, history.Done, "a")
				s.add(5*h, history.Done, "b")
				s.add(6*h, history.RolledBack, "b")
			},
			want: counts{deployments: 2, changes: 2, failures: 1, restores: 1, restored: 6 * h},
		},
		"RolledBackOnItsWay": {
			reason: "a roll-back before Done is a failed change since Started, and the change before it is not to blame",
			tell: func(s *story) {
				s.add(h, history.Done, "a")
				s.add(h, history.Started, "b")
				s.add(4*h, history.RolledBack, "b")
			},
			want: counts{deployments: 1, changes: 2, failures: 1, restores: 1, restored: 4 * h},
		},
		"RolledBackWhileAnotherStarts": {
			reason: "the Release that the roll-back names is to blame",
			tell: func(s *story) {
				s.add(h, history.Done, "a")
				s.add(h, history.Started, "b")
				s.add(h, history.RolledBack, "a")
			},
			want: counts{deployments: 1, changes: 1, failures: 1, restores: 1, restored: 2 * h},
		},
		"RolledBackWhileRetried": {
			reason: "a Release that failed, was tried again and then taken back is one failed change",
			tell: func(s *story) {
				s.add(h, history.Failed, "a")
				s.add(h, history.Started, "a")
				s.add(h, history.RolledBack, "a")
			},
			want: counts{changes: 1, failures: 1, restores: 1, restored: 2 * h},
		},
		"RolledBackUnnamed": {
			reason: "a roll-back that names no Release takes back what came last",
			tell: func(s *story) {
				s.add(h, history.Started, "a")
				s.add(h, history.Done, "a")
				s.add(h, history.RolledBack, "")
			},
			want: counts{deployments: 1, changes: 1, failures: 1, restores: 1, restored: h},
		},
		"RolledBackFurther": {
			reason: "a second roll-back, further back, blames nobody again",
			tell: func(s *story) {
				s.add(h, history.Done, "a")
				s.add(h, history.RolledBack, "a")
				s.add(h, history.RolledBack, "a")
			},
			want: counts{deployments: 1, changes: 1, failures: 1, restores: 1, restored: h},
		},
		"RolledBackFromBefore": {
			reason: "nobody knows the change that was taken back",
			tell:   func(s *story) { s.add(h, history.RolledBack, "a") },
		},
		"FailedAfterDone": {
			reason: "a change that is found bad after it was done is one change",
			tell: func(s *story) {
				s.add(h, history.Done, "a")
				s.add(h, history.Failed, "a")
				s.add(h, history.RolledBack, "a")
			},
			want: counts{deployments: 1, changes: 1, failures: 1, restores: 1, restored: h},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &story{at: start}
			tc.tell(s)
			in := measured(t, s.events, start, start.Add(30*24*h))
			got := counts{in.Deployments, in.Changes, in.Failures, in.Stopped, in.Down, in.TimeToRestore.N, tc.want.restored}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(counts{})); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if tc.want.restores == 0 {
				return
			}
			// Told three times over, by another service each time, there is evidence enough for a median.
			var thrice []history.Event
			for i := range 3 {
				for _, e := range s.events {
					e.Service = fmt.Sprintf("service-%d", i)
					e.Key += e.Service
					thrice = append(thrice, e)
				}
			}
			slices.SortFunc(thrice, history.Compare)
			in = measured(t, thrice, start, start.Add(30*24*h))
			if got, ok := in.TimeToRestore.Duration(); !ok || got != tc.want.restored/time.Duration(tc.want.restores) {
				t.Errorf("%s: restored within %v (%v), want %v", tc.reason, got, in.TimeToRestore.Why, tc.want.restored)
			}
		})
	}
}

func measured(t *testing.T, events []history.Event, from, to time.Time) history.Insight {
	t.Helper()
	all, err := history.Insights(slices.Values(events), from, to, history.By{})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%d insights, want one", len(all))
	}
	return all[0]
}

func TestTheTimeWatched(t *testing.T) {
	s := &story{at: start}
	s.add(0, history.Done, "a")
	s.add(10*24*time.Hour, history.Done, "b")
	s.add(time.Hour, history.RolledBack, "b")
	s.add(10*24*time.Hour, history.Done, "c")
	s.add(time.Hour, history.Done, "d")

	t.Run("What came before is not counted but known", func(t *testing.T) {
		in := measured(t, s.events, start.Add(10*24*time.Hour+30*time.Minute), s.at)
		want := history.Insight{
			Fleet: "shop", From: start.Add(10*24*time.Hour + 30*time.Minute), To: s.at,
			Deployments: 1, Changes: 1, // c; d is at the end, which is not of the time
			DeploymentFrequency: history.Figure{Value: new(1 / (10 + 1.5/24)), N: 1},
			LeadTime:            history.Figure{N: 1, Why: "not enough evidence: deployments of a known commit: 1, and a median needs 3"},
			LeadTimeP90:         history.Figure{N: 1, Why: "not enough evidence: deployments of a known commit: 1, and a 90th percentile needs 10"},
			ChangeFailureRate:   history.Figure{N: 1, Why: "not enough evidence: changes: 1, and a rate needs 10"},
			TimeToRestore:       history.Figure{N: 1, Why: "not enough evidence: restored failures: 1, and a median needs 3"},
		}
		if diff := cmp.Diff(want, in); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("Nothing is said of the time before the first event", func(t *testing.T) {
		in := measured(t, s.events, start.Add(-100*24*time.Hour), s.at.Add(time.Second))
		if !in.From.Equal(start) || in.Deployments != 4 {
			t.Errorf("from %v, %d deployments; want %v and 4", in.From, in.Deployments, start)
		}
	})
	t.Run("A zero is a measured one", func(t *testing.T) {
		in := measured(t, s.events, s.at.Add(time.Hour), s.at.Add(8*24*time.Hour))
		if in.DeploymentFrequency.Value == nil || *in.DeploymentFrequency.Value != 0 {
			t.Errorf("frequency %+v, want a zero", in.DeploymentFrequency)
		}
		in = measured(t, s.events, s.at.Add(time.Hour), s.at.Add(25*time.Hour))
		want := history.Figure{Why: "not enough evidence: 1 day of records, and a frequency needs 7 days"}
		if diff := cmp.Diff(want, in.DeploymentFrequency); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// TestWhatIsKnownSinceLong has records that are older than all events that are added.
func TestWhatIsKnownSinceLong(t *testing.T) {
	day := 24 * time.Hour
	end := start.Add(30 * day)
	insights := func(t *testing.T, by history.By, known ...history.Beginning) []string {
		t.Helper()
		m := history.NewMeasure(start, end, by)
		for _, b := range known {
			m.Known(b)
		}
		e := history.Event{Key: "1", Time: end.Add(-3 * day), Kind: history.Done, Fleet: "shop", Service: "checkout", Environment: "production"}
		if err := m.Add(e); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, in := range m.Insights() {
			got = append(got, fmt.Sprintf("%s %s since day %v: %d", in.Service, in.Environment, in.From.Sub(start).Hours()/24, in.Deployments))
		}
		return got
	}
	long := history.Beginning{Fleet: "shop", Service: "checkout", Environment: "production", Time: start.Add(-300 * day)}
	other := history.Beginning{Fleet: "shop", Service: "cart", Environment: "production", Time: start.Add(5 * day)}
	later := history.Beginning{Fleet: "shop", Service: "stock", Environment: "production", Time: end}
	whole := history.Beginning{Fleet: "shop", Service: "none", Time: start}
	each := history.By{Service: true, Environment: true}
	cases := map[string]struct {
		by    history.By
		known []history.Beginning
		want  []string
	}{
		"Nothing":        {each, nil, []string{"checkout production since day 27: 1"}},
		"Long":           {each, []history.Beginning{long}, []string{"checkout production since day 0: 1"}},
		"AnotherService": {each, []history.Beginning{other}, []string{"cart production since day 5: 0", "checkout production since day 27: 1"}},
		"TheOldestOfTwo": {history.By{Environment: true}, []history.Beginning{other, long}, []string{" production since day 0: 1"}},
		"ToldLater":      {history.By{Environment: true}, []history.Beginning{long, other}, []string{" production since day 0: 1"}},
		"OfNoConcern":    {each, []history.Beginning{later, whole}, []string{"checkout production since day 27: 1"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, insights(t, tc.by, tc.known...)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestFailedAndRolledBackInOneSecond has a journal pass from number 9 to 10 in the second in which a Release failed.
func TestFailedAndRolledBackInOneSecond(t *testing.T) {
	var events []history.Event
	for n, kind := range map[int]history.Kind{8: history.Started, 9: history.Failed, 10: history.RolledBack} {
		events = append(events, history.Event{
			Key: fmt.Sprintf("uid/checkout-1/%d", n), Time: start, Kind: kind, Fleet: "shop", Service: "checkout", Environment: "production", Release: "checkout-1",
		})
	}
	slices.SortFunc(events, history.Compare)
	if in := measured(t, events, start, start.Add(time.Hour)); in.Down != 0 || in.Failures != 1 || in.TimeToRestore.N != 1 {
		t.Errorf("%d down, %d failed, %d restored; want 0, 1 and 1", in.Down, in.Failures, in.TimeToRestore.N)
	}
}

func TestEvidence(t *testing.T) {
	s := &story{at: start}
	for i := range 10 {
		release := fmt.Sprint("r", i)
		s.add(24*time.Hour, history.Done, release, func(e *history.Event) {
			e.Committed = e.Time.Add(-time.Duration(i+1) * time.Hour)
		})
		if i%5 == 4 {
			s.add(time.Hour, history.RolledBack, release)
		}
	}
	in := measured(t, s.events, start, start.Add(20*24*time.Hour))
	want := history.Insight{
		Fleet: "shop", From: start.Add(24 * time.Hour), To: start.Add(20 * 24 * time.Hour), Deployments: 10, Changes: 10, Failures: 2,
		DeploymentFrequency: history.Figure{Value: new(10.0 / 19), N: 10},
		LeadTime:            history.Figure{Value: seconds(5*time.Hour + 30*time.Minute), N: 10},
		LeadTimeP90:         history.Figure{Value: seconds(9 * time.Hour), N: 10},
		ChangeFailureRate:   history.Figure{Value: new(0.2), N: 10},
		TimeToRestore:       history.Figure{N: 2, Why: "not enough evidence: restored failures: 2, and a median needs 3"},
	}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLeadTimeNeedsATrueCommitDate(t *testing.T) {
	s := &story{at: start}
	s.add(0, history.Done, "a", func(e *history.Event) { e.Committed = time.Time{} })
	s.add(0, history.Done, "b", func(e *history.Event) { e.Committed = e.Time.Add(time.Hour) })
	s.add(0, history.Done, "c", func(e *history.Event) { e.Committed = e.Time })
	if in := measured(t, s.events, start, start.Add(time.Hour)); in.LeadTime.N != 1 || in.Deployments != 3 {
		t.Errorf("%d lead times of %d deployments, want 1 of 3", in.LeadTime.N, in.Deployments)
	}
}

func TestInsightsAreKeptApart(t *testing.T) {
	var events []history.Event
	for i, at := range []struct{ fleet, service, environment string }{
		{"b", "x", "staging"}, {"a", "y", "production"}, {"a", "x", "production"}, {"a", "x", "staging"}, {"a", "y", ""},
	} {
		events = append(events, history.Event{
			Key: fmt.Sprint(i), Time: start.Add(time.Duration(i)), Kind: history.Done,
			Fleet: at.fleet, Service: at.service, Environment: at.environment,
		})
	}
	cases := map[string]struct {
		by   history.By
		want []string
	}{
		"Fleet":       {history.By{}, []string{"a//: 3", "b//: 1"}},
		"Service":     {history.By{Service: true}, []string{"a/x/: 2", "a/y/: 1", "b/x/: 1"}},
		"Environment": {history.By{Environment: true}, []string{"a//production: 2", "a//staging: 1", "b//staging: 1"}},
		"Both": {history.By{Service: true, Environment: true}, []string{
			"a/x/production: 1", "a/x/staging: 1", "a/y/production: 1", "b/x/staging: 1",
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			all, err := history.Insights(slices.Values(events), start, start.Add(time.Hour), tc.by)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, in := range all {
				got = append(got, fmt.Sprintf("%s/%s/%s: %d", in.Fleet, in.Service, in.Environment, in.Deployments))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestEventsMustBeInOrder(t *testing.T) {
	s := &story{at: start}
	s.add(time.Hour, history.Done, "a")
	s.add(-time.Minute, history.Done, "b")
	if _, err := history.Insights(slices.Values(s.events), start, s.at, history.By{}); err == nil {
		t.Error("an event older than the one before it was taken")
	}
}

// TestManySamples shows that the quantiles of more durations than are kept are still near.
func TestManySamples(t *testing.T) {
	const n = 100_000
	random := rand.New(rand.NewPCG(3, 4))
	m := history.NewMeasure(start, start.Add(1000*time.Hour), history.By{})
	for i := range n {
		at := start.Add(time.Duration(i) * time.Second)
		lead := time.Duration(random.Int64N(int64(1000 * time.Hour)))
		if err := m.Add(history.Event{
			Key: fmt.Sprint(i), Time: at, Kind: history.Done, Environment: "production", Release: fmt.Sprint(i), Committed: at.Add(-lead),
		}); err != nil {
			t.Fatal(err)
		}
	}
	in := m.Insights()[0]
	median, _ := in.LeadTime.Duration()
	p90, _ := in.LeadTimeP90.Duration()
	if in.LeadTime.N != n || median < 480*time.Hour || median > 520*time.Hour || p90 < 890*time.Hour || p90 > 910*time.Hour {
		t.Errorf("of %d lead times, the median is %v and the 90th percentile %v; want about 500h and 900h", in.LeadTime.N, median, p90)
	}
}
