package tracker

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/registry"
)

// subject is a repository that is asked for.
type subject struct {
	repository string
	// slots is how many follow it.
	slots int
	// due is when it is looked at next.
	due time.Time
	// looking is true while it is, and again if something has happened since that asks for another look.
	looking, again bool
	// pushed are tags that were announced.
	pushed []string
	// failures counts the looks that failed one after the other, and failed is why the last did.
	failures int
	failed   error
	outcome  outcome
}

// hurry makes it be looked at as soon as possible.
func (s *subject) hurry() {
	s.due = time.Time{}
	s.again = s.looking
}

// outcome is what is known of a repository.
type outcome struct {
	// began is when the look began that found it, zero if there was none.
	began time.Time
	tags  []string
	// known is what tags led to, when they were looked at last.
	known map[string]sighting
	// built is when images that are written were built, by digest.
	built map[string]time.Time
}

type sighting struct {
	digest string
	looked time.Time
	// created is when the image was built, if that was asked, which is described.
	created   time.Time
	described bool
}

// sighted is a look that has ended.
type sighted struct {
	repository string
	outcome    outcome
	err        error
}

// question is what a slot asks of a repository.
type question struct {
	policy image.Policy
	newest bool
	now    image.Reference
	bad    quarantine
}

const (
	// firstRetry and lastRetry bound how long a registry is left alone that could not be read.
	firstRetry = 15 * time.Second
	lastRetry  = 30 * time.Minute
	// lookTimeout bounds one look, which may ask for thousands of images.
	lookTimeout = 10 * time.Minute
	// renewed is how many tags that newest compares are looked at again in each look, because they may have moved.
	renewed = 50
	// interval is the time between two looks, if the Fleet does not say.
	interval = 5 * time.Minute
)

func intervalOf(fleet *v1alpha1.Fleet) time.Duration {
	if fleet.Spec.Images == nil || fleet.Spec.Images.Interval.Duration <= 0 {
		return interval
	}
	return fleet.Spec.Images.Interval.Duration
}

// part is a random part of d, so that not all is asked for at once.
func part(d time.Duration) time.Duration {
	return rand.N(max(d, 1)) //nolint:gosec // spreads load, keeps no secret
}

// look starts the looks that are due.
func (r *Reconciler) look(ctx context.Context, fleet *v1alpha1.Fleet, st *state) {
	// What is due soon goes along, so that the pull secrets are not read for each.
	horizon := r.Clock.Now().Add(intervalOf(fleet) / 20)
	var due []*subject
	for _, s := range st.subjects {
		if s.repository != "" && !s.looking && !s.due.After(horizon) {
			due = append(due, s)
		}
	}
	if len(due) == 0 {
		return
	}
	questions := st.questions()
	creds := r.credentials(ctx, fleet, st)
	name := nameOf(fleet)
	for _, s := range due {
		v := visit{client: r.Registries, creds: creds, repository: s.repository, now: r.Clock.Now, before: s.outcome, pushed: s.pushed}
		asked := questions[s.repository]
		if len(asked) == 0 {
			s.due = r.Clock.Now().Add(intervalOf(fleet)) // all that follow it have a problem
			continue
		}
		s.looking, s.again, s.pushed = true, false, nil
		r.crew.look(func(ctx context.Context) {
			limited, cancel := context.WithTimeout(ctx, lookTimeout)
			defer cancel()
			err := v.ask(limited, asked)
			if ctx.Err() != nil {
				return // what was interrupted says nothing
			}
			st.mail.see(sighted{v.repository, v.out, err})
			r.waker.Wake(name)
		})
	}
}

// questions are what is asked of each repository.
func (st *state) questions() map[string][]question {
	all := map[string][]question{}
	for _, s := range st.slots {
		if s.problem != "" {
			continue
		}
		all[s.repository] = append(all[s.repository], question{
			policy: s.policy, newest: s.image.Track.Newest, now: s.written(st), bad: st.quarantine(s),
		})
	}
	return all
}

// sees takes in looks that have ended.
func (r *Reconciler) sees(fleet *v1alpha1.Fleet, st *state, looks []sighted) {
	now, every := r.Clock.Now(), intervalOf(fleet)
	for _, l := range looks {
		s := st.subjects[l.repository]
		if s == nil {
			continue // nobody follows it any more
		}
		s.looking, s.failed = false, l.err
		if l.err == nil {
			s.failures, s.outcome = 0, l.outcome
			s.due = now.Add(every - part(every/10))
			for _, is := range st.slots {
				is.dirty = is.dirty || is.repository == l.repository
			}
		} else {
			s.failures++
			s.due = retryAt(now, every, s.failures, l.err)
			s.outcome.known = l.outcome.known // what was found so far need not be asked for again
		}
		if s.again {
			s.due = time.Time{}
		}
		r.tellFailure(fleet, st, s)
	}
}

// retryAt says when to come back to a registry that could not be read.
func retryAt(now time.Time, every time.Duration, failures int, err error) time.Time {
	var failure *registry.Error
	if errors.As(err, &failure) && !failure.Until.IsZero() {
		return failure.Until.Add(part(firstRetry / 3))
	}
	wait := min(firstRetry<<min(failures-1, 10), max(lastRetry, every))
	if !errors.Is(err, registry.ErrUnreachable) {
		wait = max(wait, every) // it takes somebody to mend it
	}
	return now.Add(wait - part(wait/5))
}

// visit is one look at a repository.
type visit struct {
	client     *registry.Client
	creds      registry.Credentials
	repository string
	now        func() time.Time
	before     outcome
	pushed     []string
	// newest is true if any question is for the newest build, so that it is asked when images were built.
	newest bool
	out    outcome
}

// ask finds out what is needed to choose.
func (v *visit) ask(ctx context.Context, questions []question) error {
	v.newest = slices.ContainsFunc(questions, func(q question) bool { return q.newest })
	v.out = outcome{began: v.now(), known: map[string]sighting{}, built: map[string]time.Time{}}
	tags, err := v.client.Tags(ctx, v.repository, v.creds)
	if err != nil {
		v.out.known = v.before.known
		return err
	}
	v.out.tags = tags
	for _, tag := range tags {
		if was := v.before.known[tag]; v.newest && was.described {
			v.out.known[tag] = was
		}
	}
	for _, q := range questions {
		if err := v.answer(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (v *visit) answer(ctx context.Context, q question) error {
	// Whether what is written has moved or is in quarantine, and what failed, is asked each time.
	if err := v.see(ctx, append([]string{q.now.Tag}, q.bad.names()...)...); err != nil {
		return err
	}
	if q.newest {
		if err := v.see(ctx, v.renew(q.policy)...); err != nil {
			return err
		}
	}
	for {
		needs := image.Needs(q.policy, v.out.tags, v.out.candidates(q.newest), q.bad.holds(v.out))
		if len(needs) == 0 {
			break
		}
		if err := v.see(ctx, needs...); err != nil {
			return err
		}
	}
	if q.newest && q.now.Digest != "" {
		return v.age(ctx, q.now.Digest)
	}
	return nil
}

// renew names the tags that newest compares which have been announced, or were looked at longest ago.
func (v *visit) renew(p image.Policy) []string {
	var old, named []string
	for tag := range v.out.known {
		switch {
		case !p.Fits(tag):
		case slices.Contains(v.pushed, tag):
			named = append(named, tag)
		default:
			old = append(old, tag)
		}
	}
	slices.SortFunc(old, func(a, b string) int { return v.out.known[a].looked.Compare(v.out.known[b].looked) })
	return append(named, old[:min(len(old), renewed)]...)
}

// see looks at tags that were not looked at in this visit.
func (v *visit) see(ctx context.Context, tags ...string) error {
	for _, tag := range tags {
		if _, there := slices.BinarySearch(v.out.tags, tag); !there || v.out.fresh(tag) {
			continue
		}
		is, err := v.lookUp(ctx, image.Reference{Repository: v.repository, Tag: tag})
		switch {
		case errors.Is(err, registry.ErrNotFound): // it has gone meanwhile
			v.out.tags = slices.DeleteFunc(v.out.tags, func(t string) bool { return t == tag })
			delete(v.out.known, tag)
		case err != nil:
			return err
		default:
			v.out.known[tag] = is
		}
	}
	return nil
}

func (v *visit) lookUp(ctx context.Context, ref image.Reference) (sighting, error) {
	if !v.newest {
		digest, err := v.client.Digest(ctx, ref, v.creds)
		return sighting{digest: digest, looked: v.now()}, err
	}
	d, err := v.client.Describe(ctx, ref, v.creds)
	return sighting{digest: d.Digest, looked: v.now(), created: d.Created, described: true}, err
}

// age finds out when an image was built that is written by its digest.
func (v *visit) age(ctx context.Context, digest string) error {
	is, err := v.lookUp(ctx, image.Reference{Repository: v.repository, Digest: digest})
	if errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	if err == nil {
		v.out.built[digest] = is.created
	}
	return err
}

// fresh says whether a tag was looked at in the last look.
func (o outcome) fresh(tag string) bool {
	is, ok := o.known[tag]
	return ok && !is.looked.Before(o.began)
}

// candidates are the tags, with what is known of them. Only newest, for which each is asked, goes by what may have moved
// since it was looked at.
func (o outcome) candidates(newest bool) map[string]image.Candidate {
	all := make(map[string]image.Candidate, len(o.tags))
	for _, tag := range o.tags {
		c := image.Candidate{Tag: tag}
		if newest || o.fresh(tag) {
			c.Digest, c.Created = o.known[tag].digest, o.known[tag].created
		}
		all[tag] = c
	}
	return all
}
