package history

import (
	"fmt"
	"time"
)

// Measure makes Insights from events, one at a time. What it keeps is bounded for each service and environment, however
// many events there are. It is not safe for concurrent use.
type Measure struct {
	from, to time.Time
	by       By
	latest   Event
	courses  map[place]*course
	tallies  map[place]*tally
}

// place is where something happened. For a tally, what is not kept apart is empty.
type place struct {
	fleet, service, environment string
}

// course is what a service has been through in an environment.
type course struct {
	tally *tally
	// started is the Release that is on its way there, since startedAt; empty if there is none.
	started   string
	startedAt time.Time
	// last is the last change; its zero value is none.
	last change
	// down is since when the service is not as it should be; zero if it is.
	down time.Time
}

// change is a Release that reached the environment.
type change struct {
	release string
	at      time.Time
	failed  bool
}

// tally is what is counted for one Insight.
type tally struct {
	// first is since when there are records.
	first                                   time.Time
	deployments, changes, failures, stopped int
	lead, restore                           sample
}

// NewMeasure counts what happened from from on and before to.
func NewMeasure(from, to time.Time, by By) *Measure {
	return &Measure{from: from, to: to, by: by, courses: map[place]*course{}, tallies: map[place]*tally{}}
}

// Known says since when there are records of a service in an environment, which may be long before the first event that is
// added: without it, nothing is known of the time before that event. What did nothing since is measured as well.
func (m *Measure) Known(b Beginning) {
	if b.Environment != "" && b.Time.Before(m.to) {
		m.course(place{b.Fleet, b.Service, b.Environment}, b.Time)
	}
}

// MeasuredKinds are the kinds of events that a Measure looks at; Filter.Kinds for it. Other kinds only tell that somebody was
// watching.
func MeasuredKinds() []Kind { return []Kind{Started, Done, Failed, RolledBack} }

// Add takes the next event. It fails if the event is older than the one before.
func (m *Measure) Add(e Event) error {
	if Compare(e, m.latest) < 0 {
		return fmt.Errorf("measure event %s: it is older than the event before it: give events in the order of their time", e.Key)
	}
	m.latest = Event{Time: e.Time, Key: e.Key}
	if e.Environment == "" || !e.Time.Before(m.to) {
		return nil
	}
	c := m.course(place{e.Fleet, e.Service, e.Environment}, e.Time)
	switch e.Kind {
	case Started:
		c.started, c.startedAt = e.Release, e.Time
	case Done:
		m.done(c, e)
	case Failed:
		m.failed(c, e)
	case RolledBack:
		m.rolledBack(c, e)
	}
	return nil
}

// course returns what is known of a place, of which there are records since a time at the latest.
func (m *Measure) course(at place, since time.Time) *course {
	c := m.courses[at]
	if c == nil {
		c = &course{tally: m.tallyOf(at, since)}
		m.courses[at] = c
	}
	if since.Before(c.tally.first) {
		c.tally.first = since
	}
	return c
}

func (m *Measure) tallyOf(at place, since time.Time) *tally {
	if !m.by.Service {
		at.service = ""
	}
	if !m.by.Environment {
		at.environment = ""
	}
	t := m.tallies[at]
	if t == nil {
		t = &tally{first: since}
		m.tallies[at] = t
	}
	return t
}

func (m *Measure) counted(t time.Time) bool { return !t.Before(m.from) }

// begin makes what happened the last change.
func (m *Measure) begin(c *course, release string, at time.Time) {
	c.last, c.started = change{release: release, at: at}, ""
	if m.counted(at) {
		c.tally.changes++
	}
}

// fail marks the last change, and the service as down since then unless it is already.
func (m *Measure) fail(c *course, since time.Time) {
	if !c.last.failed && m.counted(c.last.at) {
		c.tally.failures++
	}
	c.last.failed = true
	if c.down.IsZero() {
		c.down = since
	}
}

func (m *Measure) restored(c *course, at time.Time) {
	if !c.down.IsZero() && m.counted(at) {
		c.tally.restore.add(at.Sub(c.down))
	}
	c.down = time.Time{}
}

func (m *Measure) done(c *course, e Event) {
	if c.is(e.Release) && !c.last.failed {
		return // told twice
	}
	m.begin(c, e.Release, e.Time)
	m.restored(c, e.Time)
	if !m.counted(e.Time) {
		return
	}
	c.tally.deployments++
	// A clock that is ahead of ours makes commits of the future, whose lead time nobody knows.
	if !e.Committed.IsZero() && !e.Committed.After(e.Time) {
		c.tally.lead.add(e.Time.Sub(e.Committed))
	}
}

func (m *Measure) failed(c *course, e Event) {
	if e.Untouched {
		c.started = ""
		if m.counted(e.Time) {
			c.tally.stopped++
		}
		return
	}
	if !c.is(e.Release) {
		m.begin(c, e.Release, e.Time)
	}
	m.fail(c, e.Time)
}

func (m *Measure) rolledBack(c *course, e Event) {
	onItsWay := c.started != "" && (e.Release == c.started || e.Release == "") && !c.is(e.Release)
	switch {
	case onItsWay:
		since := c.startedAt
		m.begin(c, c.started, e.Time)
		m.fail(c, since)
	case c.down.IsZero() && !c.last.at.IsZero() && !c.last.failed:
		m.fail(c, c.last.at)
	}
	m.restored(c, e.Time)
}

// is reports whether the last change was that Release.
func (c *course) is(release string) bool { return release != "" && c.last.release == release }
