package tracker

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/release"
)

// past is what the Releases of a service tell.
type past struct {
	// bad are the images in quarantine.
	bad []image.Reference
	// runs are the images that the newest Release brings, by environment.
	runs map[string][]string
}

// recall reads the Releases of the services that track something, as far as something may be new. If what is in quarantine
// has changed, the registry is asked what the tags lead to that failed.
func (r *Reconciler) recall(ctx context.Context, fleet *v1alpha1.Fleet, st *state) error {
	fresh, failed := map[string]bool{}, map[string]bool{}
	for _, s := range st.slots {
		for _, service := range s.services {
			was, known := st.pasts[service]
			if known && !st.stale[service] && !fresh[service] {
				continue
			}
			if !fresh[service] {
				is, err := r.past(ctx, fleet, service)
				if err != nil {
					return err
				}
				st.pasts[service], fresh[service] = is, true
				failed[service] = known && !slices.Equal(was.bad, is.bad)
				delete(st.stale, service)
			}
			s.dirty = true
			if failed[service] {
				st.soon(s.repository)
			}
		}
	}
	return nil
}

func (r *Reconciler) past(ctx context.Context, fleet *v1alpha1.Fleet, service string) (past, error) {
	var list v1alpha1.ReleaseList
	err := r.Client.List(ctx, &list, client.InNamespace(fleet.Namespace), origin.OfService(fleet.Name, service), client.UnsafeDisableDeepCopy)
	if err != nil {
		return past{}, fmt.Errorf("list the Releases of %s: %w", service, err)
	}
	is := past{runs: map[string][]string{}}
	all := make([]*v1alpha1.Release, 0, len(list.Items))
	for i := range list.Items {
		all = append(all, &list.Items[i])
	}
	for _, text := range release.Quarantine(all) {
		if ref, err := image.Parse(text); err == nil {
			is.bad = append(is.bad, ref)
		}
	}
	if len(all) > 0 {
		newest := slices.MaxFunc(all, func(a, b *v1alpha1.Release) int { return cmp.Compare(a.Spec.Sequence, b.Spec.Sequence) })
		for _, env := range newest.Spec.Environments {
			is.runs[env.Name] = env.Images
		}
	}
	return is, nil
}

// quarantine is what must not be chosen of one repository: digests, and tags whose image is not known, which stand for
// what they lead to now.
type quarantine struct{ digests, tags map[string]bool }

// quarantine returns what must not be chosen for a slot.
func (st *state) quarantine(s *slot) quarantine {
	q := quarantine{map[string]bool{}, map[string]bool{}}
	for _, service := range s.services {
		for _, ref := range st.pasts[service].bad {
			switch {
			case ref.Repository != s.repository:
			case ref.Digest != "":
				q.digests[ref.Digest] = true
			case ref.Tag != "":
				q.tags[ref.Tag] = true
			}
		}
	}
	return q
}

func (q quarantine) names() []string {
	names := make([]string, 0, len(q.tags))
	for tag := range q.tags {
		names = append(names, tag)
	}
	return names
}

// holds returns what is in quarantine, by what is known of a repository.
func (q quarantine) holds(o outcome) func(digest string) bool {
	digests := map[string]bool{}
	for tag := range q.tags {
		if o.fresh(tag) {
			digests[o.known[tag].digest] = true
		}
	}
	return func(digest string) bool { return q.digests[digest] || digests[digest] }
}

// written is what Git says, or what runs where Git says nothing: the images of the manifests themselves.
func (s *slot) written(st *state) image.Reference {
	if s.now != (image.Reference{}) {
		return s.now
	}
	runs := scribe.Running([]delivery.Image{s.image}, st.pasts[s.service].runs[s.environment])
	if ref, err := image.Parse(runs[s.image.Name]); err == nil {
		return image.Reference{Tag: ref.Tag, Digest: ref.Digest}
	}
	return image.Reference{}
}

// decide chooses for every slot of which something is new. While its registry cannot be read, nothing is.
func (r *Reconciler) decide(fleet *v1alpha1.Fleet, st *state) {
	for _, s := range st.slots {
		if s.problem != "" {
			s.chosen = nil
			r.tell(fleet, st, s.about(), "ImageNotFollowed", s.problem)
			continue
		}
		of := st.subjects[s.repository]
		if !s.dirty || of == nil || of.failed != nil || of.outcome.began.IsZero() {
			continue
		}
		s.dirty = false
		s.pick(st, of.outcome)
		about := s.about()
		if moved := s.moved(of.outcome); moved != "" {
			r.tell(fleet, st, about+" moved", "TagMoved", moved)
		}
		if s.chosen == nil || !s.refuses() {
			st.untell(about)
		}
	}
}

// pick makes the choice of a slot.
func (s *slot) pick(st *state, o outcome) {
	newest := s.image.Track.Newest
	bad, now := st.quarantine(s), s.written(st)
	known := o.candidates(newest)
	candidates := make([]image.Candidate, 0, len(known))
	for _, tag := range o.tags {
		if bad.tags[tag] && !o.fresh(tag) {
			continue // what it leads to may be what failed
		}
		candidates = append(candidates, known[tag])
	}
	current := image.Candidate{Tag: now.Tag, Digest: now.Digest, Created: o.built[now.Digest]}
	if current.Digest == "" && o.fresh(now.Tag) {
		current.Digest = o.known[now.Tag].digest // that is what a node would pull
	}
	choice, why, ok := image.Pick(s.policy, current, candidates, bad.holds(o))
	s.why, s.chosen = why, nil
	if !ok {
		return
	}
	to := image.Reference{Tag: choice.Tag}
	if s.image.Track.Digest != "" || now.Digest != "" {
		to.Digest = choice.Digest // where a digest is written, it stays the one that decides
	}
	if !says(now, to) {
		s.chosen, s.choice = &to, choice
	}
}

// says reports whether what is written says what is wanted. Where the digest is written alone, the tag is of no account.
func says(is, want image.Reference) bool {
	return is.Digest == want.Digest && (is.Tag == want.Tag || is.Tag == "" && want.Digest != "")
}

// moved says that a tag that is written without a digest leads to another image than at the last look.
func (s *slot) moved(o outcome) string {
	if s.now.Tag == "" || s.now.Digest != "" || !o.fresh(s.now.Tag) {
		s.seen = image.Reference{}
		return ""
	}
	was := s.seen
	s.seen = image.Reference{Repository: s.repository, Tag: s.now.Tag, Digest: o.known[s.now.Tag].digest}
	if was.Digest == "" || was.Repository != s.repository || was.Tag != s.seen.Tag || was.Digest == s.seen.Digest {
		return ""
	}
	return fmt.Sprintf("%s:%s, which %s says, leads to another image than before: %s in the place of %s; nodes may run either, and Git cannot tell: write the digest beside the tag, or follow the tag by digest",
		s.repository, s.seen.Tag, s.place.File, short(s.seen.Digest), short(was.Digest))
}

// refuses reports whether what is chosen could not be written before, in the place of the same.
func (s *slot) refuses() bool {
	return s.chosen != nil && s.refused.problem != "" && s.refused.from == s.now && s.refused.to == *s.chosen
}

// short is a digest as people recognise it.
func short(digest string) string {
	const letters = len("sha256:") + 12
	return digest[:min(len(digest), letters)]
}
