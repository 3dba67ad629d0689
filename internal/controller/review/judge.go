package review

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/manifest"
)

const (
	// maxTried is how many objects the clusters are asked about for one pull request, tried how many at once, and
	// trying how long.
	maxTried = 200
	tried    = 4
	trying   = time.Minute
	// maxSaid is how many sentences are kept of one place.
	maxSaid = 10
)

// judge finds out what would be refused, or wait for a person, and returns about how many objects no cluster was asked.
func (e *examination) judge(ctx context.Context, found []*finding) (untried int) {
	for _, f := range found {
		e.removals(f, found)
	}
	if e.pr.Fork {
		return 0 // what a cluster answers is not for everybody, and asking it runs other people's webhooks
	}
	return e.ask(ctx, found)
}

// wants says whether another App of the pull request wants an object of this App's cluster.
func wants(found []*finding, f *finding, ref manifest.Ref) (app string, wanted bool) {
	for _, other := range found {
		if other == f || other.env.Cluster != f.env.Cluster {
			continue
		}
		if _, ok := other.next.Set.ByRef(ref); ok {
			return other.name(), true
		}
	}
	return "", false
}

// removals says what of the objects that are no longer wanted stays, or waits for a person.
func (e *examination) removals(f *finding, found []*finding) {
	if f.target == nil || f.app == nil || f.Fate != altered && f.Fate != removed || len(f.Refused) > 0 {
		return
	}
	in := apply.Input{
		Owner: manifest.Owner{Namespace: f.app.Namespace, Name: f.app.Name, UID: string(f.app.UID)}, Set: f.next.Set,
		Inventory: f.app.Status.Inventory, Live: f.target.Live.Live, Synced: f.target.Live.Synced,
		OwnedLive: f.target.Live.OwnedBy(string(f.app.UID)), Key: e.Maker.Key, Ignored: f.next.Ignored,
		Claims: apply.Claims{Rival: func(ref manifest.Ref) (string, bool) { return wants(found, f, ref) }},
	}
	switch f.next.Settings.PruneMode() {
	case delivery.PruneNever:
		in.Prune = apply.PruneNever
	case delivery.PruneConfirm:
		in.Prune = apply.PruneConfirm
	case delivery.PruneNormal:
	}
	if f.Fate == removed {
		in.Removal = v1alpha1.RemovalApproved
		f.Waits = append(f.Waits, fmt.Sprintf("its folder is gone: the App and %s are deleted, environment after environment, once a person has approved it", plural(len(f.app.Status.Inventory), "object", "objects")))
	}
	plan, err := apply.Plan(in)
	if err != nil {
		f.Notes = append(f.Notes, "what would be deleted is not known: "+err.Error())
		return
	}
	f.tell(plan)
}

// tell adds what a plan says about the objects that the pull request takes out.
func (f *finding) tell(plan apply.ChangeSet) {
	gone := map[manifest.Ref]bool{}
	for _, o := range f.Objects {
		gone[o.Ref] = o.Gone
	}
	waiting := 0
	var examples []string
	for _, c := range plan.Removals() {
		if !gone[c.Ref] {
			continue
		}
		switch {
		case c.Action == apply.Wait && c.Proven && plan.Pending != nil:
			waiting++
			examples = append(examples, c.Ref.String())
		case c.Action == apply.Wait && c.Others, c.Action == apply.Orphan:
			f.say(&f.Notes, c.Ref.String()+" "+c.Reason)
		}
	}
	if waiting == 0 {
		return
	}
	few := strings.Join(examples[:min(len(examples), maxSaid)], ", ")
	f.say(&f.Waits, fmt.Sprintf("the deletion of %s waits until it is confirmed: %s", plural(waiting, "object", "objects"), few))
}

// say adds a sentence, as long as there are not too many.
func (f *finding) say(to *[]string, text string) {
	if len(*to) < maxSaid {
		*to = append(*to, text)
	}
}

// ask tries the objects that are new or changed at their clusters, without writing them: with the clusters' defaults,
// policies and webhooks.
func (e *examination) ask(ctx context.Context, found []*finding) (untried int) {
	ctx, cancel := context.WithTimeout(ctx, trying)
	defer cancel()
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(tried)
	left := maxTried
	for _, f := range found {
		if f.target == nil || f.Fate != altered && f.Fate != added {
			continue
		}
		app := e.object(f)
		options := apply.Options{Owner: origin.OwnerOf(app), As: origin.As(app)}
		for _, o := range f.Objects {
			item, ok := f.next.Set.ByRef(o.Ref)
			if o.Gone || !ok {
				continue
			}
			if left == 0 {
				mu.Lock()
				untried++
				mu.Unlock()
				continue
			}
			left--
			group.Go(func() error {
				answer := e.try(ctx, f, found, item, o.Made, options)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case answer.unknown:
					untried++
				case answer.refused != "":
					f.Refused = append(f.Refused, answer.refused)
				}
				return nil
			})
		}
	}
	_ = group.Wait() // what is refused is in the findings
	for _, f := range found {
		slices.Sort(f.Refused) // they came in any order
		if more := len(f.Refused) - maxSaid; more > 0 {
			f.Refused = append(f.Refused[:maxSaid], fmt.Sprintf("and %d more", more))
		}
	}
	return untried
}

// answer is what a cluster says about an object.
type answer struct {
	refused string
	unknown bool
}

// try asks the cluster about one object.
func (e *examination) try(ctx context.Context, f *finding, found []*finding, item manifest.Item, made bool, o apply.Options) answer {
	if made && !f.lists(item.Ref) {
		if why := e.taken(ctx, f, found, item, o); why != "" {
			return answer{refused: item.Ref.String() + " " + why}
		}
	}
	if item.Mode != manifest.ModeApply {
		return answer{} // it is written otherwise than a dry run would
	}
	_, err := apply.DryRun(ctx, f.target.Conn, item, f.next.Ignored[item.Ref], o)
	failure := (*apply.Error)(nil)
	switch {
	case err == nil:
		return answer{}
	case !errors.As(err, &failure), failure.Retryable, ctx.Err() != nil, strings.Contains(failure.Sentence, "does not support dry run"):
		return answer{unknown: true}
	}
	return answer{refused: "refused by the cluster: " + failure.Sentence}
}

// lists says whether the App has applied an object already.
func (f *finding) lists(ref manifest.Ref) bool {
	if f.app == nil {
		return false
	}
	for _, entry := range f.app.Status.Inventory {
		if entry.ID == ref.ID() {
			return true
		}
	}
	return false
}

// taken says to whom an object belongs that is new to the App and exists all the same, as the end of a sentence. It is
// asked for with the rights that the App has, so that nobody learns here of what he could not see.
func (e *examination) taken(ctx context.Context, f *finding, found []*finding, item manifest.Item, o apply.Options) string {
	resource, err := f.target.Conn.Mapping(ctx, schema.GroupVersionKind{Group: item.Ref.Group, Version: item.GroupVersionKind().Version, Kind: item.Ref.Kind})
	if err != nil {
		return "" // there is none, or it cannot be known
	}
	live, err := f.target.Conn.Get(ctx, resource, item.Ref.Namespace, item.Ref.Name, o.As)
	if err != nil {
		return ""
	}
	owner, owned := manifest.OwnerOf(live)
	switch {
	case !owned:
		return "exists already and was not applied by Sengu: take it over with `sengu adopt`, or leave it out of Git"
	case owner.Namespace == o.Owner.Namespace && owner.Name == o.Owner.Name:
		return ""
	}
	for _, other := range found {
		if other.app == nil || other.app.Name != owner.Name || other.app.Namespace != owner.Namespace || other.Fate != altered && other.Fate != removed {
			continue
		}
		if _, still := other.next.Set.ByRef(item.Ref); !still && len(other.Refused) == 0 {
			return "" // it is handed over
		}
	}
	return "belongs to App " + owner.Namespace + "/" + owner.Name + ": keep it in one of the two"
}
