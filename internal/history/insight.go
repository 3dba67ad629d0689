package history

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// How much evidence a figure needs. Below it, the figure has no value and says why.
const (
	// MedianNeeds is the number of samples from which on one outlier cannot be the median.
	MedianNeeds = 3
	// PercentileNeeds is the number of samples below which the 90th percentile is only the greatest of them.
	PercentileNeeds = 10
	// RateNeeds is the number of changes from which on one of them moves the rate by a tenth at most.
	RateNeeds = 10
	// FrequencyNeeds is the time that must have been watched: a working week and its weekend.
	FrequencyNeeds = 7 * 24 * time.Hour
)

// Figure is a measured value and what it rests on.
type Figure struct {
	// Value in the unit of the field that holds it; nil if there is not enough evidence.
	Value *float64 `json:"value,omitempty"`
	// N is how many samples it rests on.
	N int `json:"n"`
	// Why says in one sentence why there is no value; empty if there is one.
	Why string `json:"why,omitempty"`
}

// Duration is the value of a figure in seconds, and whether there is one.
func (f Figure) Duration() (time.Duration, bool) {
	if f.Value == nil {
		return 0, false
	}
	return time.Duration(*f.Value * float64(time.Second)), true
}

// By says what Insights are kept apart by. Fleets always are: services of two Fleets share no more than a name.
type By struct {
	Service, Environment bool
}

// Insight holds the four measures of software delivery performance of a Fleet, or of a service or an environment of it.
//
// They are the four keys of DORA (N. Forsgren, J. Humble, G. Kim: Accelerate, 2018, chapter 2; Accelerate State of DevOps
// reports; dora.dev, "DORA's software delivery metrics"), which are about production: choose the environments before you
// compare. Sengu reads them from its events, with these words:
//
//   - A change is a Release that was brought into an environment, there to be Done, Failed or RolledBack. It belongs to the
//     time at which that was first so. What was Passed unchanged or Failed Untouched never was in the environment and is no
//     change; neither is a roll-back.
//   - A deployment is a change that was Done.
//   - A change is failed if it Failed, or was RolledBack before it was Done, or was RolledBack later while it was the last to
//     be Done: each needs that somebody steps in at once, and Sengu holds the environment for it. A repair by a newer
//     commit alone leaves no trace in the events and does not count.
//   - A service is down in an environment from the first Failed on. If it was rolled back without a Failed, nobody wrote
//     down when it went bad, and it is down from the Done of the change that was taken back (from its Started if it was
//     never Done). It is restored by RolledBack or by the next Done, whichever comes first.
type Insight struct {
	Fleet       string `json:"fleet"`
	Service     string `json:"service,omitempty"`
	Environment string `json:"environment,omitempty"`
	// From and To are the time that was watched: From is later than what was asked for if there are no older records.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Deployments is how many changes were Done, and Changes how many there were, of which Failures failed.
	Deployments int `json:"deployments"`
	Changes     int `json:"changes"`
	Failures    int `json:"failures"`
	// Stopped is how many Releases Failed Untouched: no change, and shown so that nothing is hidden.
	Stopped int `json:"stopped"`
	// Down is how many services are not restored yet; they are not in TimeToRestore. One service counts once in each
	// environment.
	Down int `json:"down"`
	// DeploymentFrequency is deployments a day. A zero is a measured one: time enough was watched, and there were none.
	DeploymentFrequency Figure `json:"deploymentsPerDay"`
	// LeadTime is the median time in seconds from the commit to Done. Of commits that one Release folds, it is that of the
	// newest.
	LeadTime Figure `json:"leadTimeMedianSeconds"`
	// LeadTimeP90 is the 90th percentile of the same, by nearest rank.
	LeadTimeP90 Figure `json:"leadTimeP90Seconds"`
	// ChangeFailureRate is Failures of Changes, from 0 to 1.
	ChangeFailureRate Figure `json:"changeFailureRate"`
	// TimeToRestore is the median time in seconds for which a service was down, of what was restored in the time watched.
	// DORA calls it failed deployment recovery time since 2023.
	TimeToRestore Figure `json:"timeToRestoreMedianSeconds"`
}

// Insights measures events, which come in the order of Compare. Events from before from are not counted, but tell in what
// state the environments were: give some of them, as far back as a change may lie that is rolled back.
func Insights(events iter.Seq[Event], from, to time.Time, by By) ([]Insight, error) {
	m := NewMeasure(from, to, by)
	for e := range events {
		if err := m.Add(e); err != nil {
			return nil, err
		}
	}
	return m.Insights(), nil
}

// Insights are the figures of all that was added, sorted by Fleet, service and environment.
func (m *Measure) Insights() []Insight {
	down := map[*tally]int{}
	for _, c := range m.courses {
		if !c.down.IsZero() {
			down[c.tally]++
		}
	}
	insights := make([]Insight, 0, len(m.tallies))
	for at, t := range m.tallies {
		in := t.insight(m.from, m.to)
		in.Fleet, in.Service, in.Environment = at.fleet, at.service, at.environment
		in.Down = down[t]
		insights = append(insights, in)
	}
	slices.SortFunc(insights, func(a, b Insight) int {
		for _, c := range []int{strings.Compare(a.Fleet, b.Fleet), strings.Compare(a.Service, b.Service)} {
			if c != 0 {
				return c
			}
		}
		return strings.Compare(a.Environment, b.Environment)
	})
	return insights
}

func (t *tally) insight(from, to time.Time) Insight {
	if t.first.After(from) {
		from = t.first
	}
	return Insight{
		From: from, To: to,
		Deployments: t.deployments, Changes: t.changes, Failures: t.failures, Stopped: t.stopped,
		DeploymentFrequency: frequency(t.deployments, to.Sub(from)),
		LeadTime:            t.lead.median("deployments of a known commit"),
		LeadTimeP90:         t.lead.p90("deployments of a known commit"),
		ChangeFailureRate:   rate(t.failures, t.changes),
		TimeToRestore:       t.restore.median("restored failures"),
	}
}

func frequency(n int, watched time.Duration) Figure {
	if watched < FrequencyNeeds {
		return Figure{N: n, Why: fmt.Sprintf("not enough evidence: %s of records, and a frequency needs %d days",
			days(watched), int(FrequencyNeeds.Hours()/24))}
	}
	perDay := float64(n) / (watched.Hours() / 24)
	return Figure{Value: &perDay, N: n}
}

func days(d time.Duration) string {
	if n := int(d.Hours() / 24); n != 1 {
		return fmt.Sprintf("%d days", max(n, 0))
	}
	return "1 day"
}

func rate(failures, changes int) Figure {
	if changes < RateNeeds {
		return Figure{N: changes, Why: lacking("changes", changes, "a rate", RateNeeds)}
	}
	share := float64(failures) / float64(changes)
	return Figure{Value: &share, N: changes}
}

func lacking(of string, n int, figure string, needs int) string {
	return fmt.Sprintf("not enough evidence: %s: %d, and %s needs %d", of, n, figure, needs)
}
