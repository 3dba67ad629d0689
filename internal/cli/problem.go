package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const (
	// maxProblems bounds the lines below a table; `sengu get -o wide` has them all.
	maxProblems = 20
	// maxSentence bounds what is shown of one sentence, in characters; `sengu why` has the whole of it.
	maxSentence = 160
	// maxNames bounds the names in one of these lines.
	maxNames = 3
)

// problem is one sentence, and everything that it holds for.
type problem struct {
	sentence string
	since    time.Time
	of       []string
}

// problems returns a line for everything that is not as it should be, after an empty one; "" when all is well. Things
// with the same sentence share a line.
func problems(now time.Time, snap snapshot, f filter, c painter) string {
	all := problemsOf(snap, f)
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteByte('\n')
	for i, q := range all {
		if i == maxProblems {
			fmt.Fprintf(&b, "… and %s: see `sengu get -o wide`\n", plural(len(all)-i, "more", "more"))
			break
		}
		names := q.of
		if len(names) > maxNames {
			names = append(slices.Clone(names[:maxNames-1]), plural(len(names)-maxNames+1, "more", "more"))
		}
		fmt.Fprintf(&b, "%s  %s %s\n", c.paint(yellow, list(names)), clipped(q.sentence), c.paint(dim, "("+age(now, q.since)+")"))
	}
	return b.String()
}

// clipped shortens a sentence for a line.
func clipped(sentence string) string {
	runes := []rune(sentence)
	if len(runes) <= maxSentence {
		return sentence
	}
	return string(runes[:maxSentence-1]) + "…"
}

// problemsOf collects the why of clusters, of fleets and of the Apps that f means.
func problemsOf(snap snapshot, f filter) []problem {
	var all []problem
	index := map[string]int{}
	add := func(name string, why *v1alpha1.Why) {
		if why == nil {
			return
		}
		i, ok := index[why.Message]
		if !ok {
			i = len(all)
			index[why.Message] = i
			all = append(all, problem{sentence: why.Message, since: why.Since.Time})
		}
		all[i].of = append(all[i].of, name)
		if why.Since.Time.Before(all[i].since) {
			all[i].since = why.Since.Time
		}
	}
	for i := range snap.clusters {
		add("cluster/"+snap.clusters[i].Name, snap.clusters[i].Status.Why)
	}
	for i := range snap.fleets {
		if f.fleet == "" || f.fleet == snap.fleets[i].Name {
			add("fleet/"+snap.fleets[i].Name, snap.fleets[i].Status.Why)
		}
	}
	for _, app := range sorted(snap, f) {
		add(title(app), app.Status.Why)
	}
	return all
}

// title names an App as every verb understands it: SERVICE/ENVIRONMENT, or its own name if it was written by hand.
func title(app *v1alpha1.App) string {
	if app.Spec.Service == "" {
		return app.Name
	}
	return app.Spec.Service + "/" + app.Spec.Environment
}

// sorted returns the Apps that f means by fleet, service, and the fleet's order of environments.
func sorted(snap snapshot, f filter) []*v1alpha1.App {
	order := map[[2]string]int{}
	for _, fleet := range snap.fleets {
		for i, e := range fleet.Spec.Environments {
			order[[2]string{fleet.Name, e.Name}] = i - len(fleet.Spec.Environments)
		}
	}
	var apps []*v1alpha1.App
	for i := range snap.apps {
		if f.matches(&snap.apps[i]) {
			apps = append(apps, &snap.apps[i])
		}
	}
	slices.SortFunc(apps, func(a, b *v1alpha1.App) int {
		return cmp.Or(
			cmp.Compare(a.Spec.Fleet, b.Spec.Fleet),
			cmp.Compare(a.Spec.Service, b.Spec.Service),
			cmp.Compare(order[[2]string{a.Spec.Fleet, a.Spec.Environment}], order[[2]string{b.Spec.Fleet, b.Spec.Environment}]),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return apps
}
