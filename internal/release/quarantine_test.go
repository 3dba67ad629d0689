package release

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestQuarantine says which images no machine may choose again.
func TestQuarantine(t *testing.T) {
	const digest = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	type in struct {
		env    string
		images []string
		stage  v1alpha1.Stage
		same   bool
	}
	brings := func(sequence int64, told []string, all ...in) *v1alpha1.Release {
		r := &v1alpha1.Release{}
		r.Spec.Sequence, r.Spec.Commit.Images = sequence, told
		for _, e := range all {
			r.Spec.Environments = append(r.Spec.Environments, v1alpha1.ReleaseEnvironment{Name: e.env, Images: e.images})
			r.Status.Environments = append(r.Status.Environments, v1alpha1.ReleaseEnvironmentStatus{Name: e.env, Stage: e.stage, Unchanged: e.same})
		}
		return r
	}
	writing := func(r *v1alpha1.Release, env, image string) *v1alpha1.Release {
		for i := range r.Spec.Environments {
			if r.Spec.Environments[i].Name == env {
				r.Spec.Environments[i].Wanted = []v1alpha1.WantedImage{{Name: "web", Image: image}}
			}
		}
		return r
	}
	dev := func(stage v1alpha1.Stage, images ...string) in { return in{"dev", images, stage, false} }
	prod := func(stage v1alpha1.Stage, images ...string) in { return in{"prod", images, stage, false} }
	pinned := func(r *v1alpha1.Release) *v1alpha1.Release {
		for i := range r.Status.Environments {
			r.Status.Environments[i].Pinned = "web:pr-7"
		}
		return r
	}
	const done, failed, back, waiting = v1alpha1.StageDone, v1alpha1.StageFailed, v1alpha1.StageRolledBack, v1alpha1.StageWaiting
	cases := map[string]struct {
		reason   string
		releases []*v1alpha1.Release
		want     []string
	}{
		"Nothing": {},
		"Failed": {
			reason:   "what is new where it failed is bad, what was there before is not",
			releases: []*v1alpha1.Release{brings(1, nil, dev(done, "web:1", "proxy:1")), brings(2, nil, dev(back, "web:2", "proxy:1"))},
			want:     []string{"web:2"},
		},
		"AnyOrder": {
			reason:   "the sequence orders them",
			releases: []*v1alpha1.Release{brings(2, nil, dev(failed, "web:2")), brings(1, nil, dev(done, "web:1"))},
			want:     []string{"web:2"},
		},
		"Promoted": {
			reason:   "what Sengu wrote for an environment is new there, though nothing is known of what ran before",
			releases: []*v1alpha1.Release{writing(brings(2, nil, dev(done, "web:2"), prod(back, "web:2", "proxy:1")), "prod", "web:2")},
			want:     []string{"web:2"},
		},
		"ConfigurationFailed": {
			reason:   "a change without a new image puts none into quarantine",
			releases: []*v1alpha1.Release{brings(1, nil, dev(done, "web:1")), brings(2, nil, dev(failed, "web:1"))},
		},
		"SecondEnvironment": {
			reason:   "it passed one environment and failed in the next",
			releases: []*v1alpha1.Release{brings(1, nil, dev(done, "web:1"), prod(done, "web:1")), brings(2, nil, dev(done, "web:2"), prod(back, "web:2"))},
			want:     []string{"web:2"},
		},
		"PassedSince": {
			reason: "a person promoted it again, and it passed",
			releases: []*v1alpha1.Release{
				brings(1, nil, dev(done, "web:1")), brings(2, nil, dev(back, "web:2")), brings(3, nil, dev(done, "web:2")),
			},
		},
		"PassedElsewhere": {
			reason: "a change of something else passes the environment before with it, and waits: so who takes the image back is not overruled",
			releases: []*v1alpha1.Release{
				brings(1, nil, dev(done, "web:1"), prod(done, "web:1")), brings(2, nil, dev(done, "web:2"), prod(back, "web:2")),
				brings(3, nil, dev(done, "web:2"), prod(waiting, "web:2")),
			},
			want: []string{"web:2"},
		},
		"PassedBeside": {
			reason: "of two environments that one Release reaches, one fails: whichever comes first",
			releases: []*v1alpha1.Release{
				brings(1, nil, dev(done, "web:1"), prod(done, "web:1")), brings(2, nil, dev(back, "web:2"), prod(done, "web:2")),
			},
			want: []string{"web:2"},
		},
		"FailedTwice": {
			reason: "it is one image, however many environments it fails in, until it has passed in each of them",
			releases: []*v1alpha1.Release{
				brings(1, nil, dev(done, "web:1"), prod(done, "web:1")), brings(2, nil, dev(back, "web:2"), prod(back, "web:2")),
				brings(3, nil, dev(done, "web:3"), prod(back, "web:3")), brings(4, nil, dev(back, "web:3", "proxy:2"), prod(done, "web:3", "proxy:2")),
			},
			want: []string{"proxy:2", "web:2"},
		},
		"PassedThereSince": {
			reason: "a person promoted it again, and it passed where it had failed",
			releases: []*v1alpha1.Release{
				brings(1, nil, dev(done, "web:1"), prod(done, "web:1")), brings(2, nil, dev(done, "web:2"), prod(back, "web:2")),
				brings(3, nil, dev(done, "web:2"), prod(done, "web:2")),
			},
		},
		"PassedUnchanged": {
			reason: "what is passed over proves nothing",
			releases: []*v1alpha1.Release{
				brings(1, nil, dev(done, "web:1")), brings(2, nil, dev(back, "web:2")), brings(3, nil, in{"dev", []string{"web:2"}, done, true}),
			},
			want: []string{"web:2"},
		},
		"FailedWhilePinned": {
			reason:   "what failed is the image that a person had pinned",
			releases: []*v1alpha1.Release{brings(1, nil, dev(done, "web:1")), pinned(brings(2, nil, dev(back, "web:2")))},
		},
		"PassedWhilePinned": {
			reason: "what passed is the image that a person had pinned: neither is it good, nor was it there before",
			releases: []*v1alpha1.Release{
				brings(1, nil, dev(done, "web:1")), brings(2, nil, dev(back, "web:2")), pinned(brings(3, nil, dev(done, "web:2"))),
				pinned(brings(4, nil, dev(done, "web:3"))), brings(5, nil, dev(failed, "web:3")),
			},
			want: []string{"web:2", "web:3"},
		},
		"NotOverYet": {
			releases: []*v1alpha1.Release{brings(1, nil, dev(done, "web:1")), brings(2, nil, dev(waiting, "web:2"))},
		},
		"Told": {
			reason:   "with the digest that the commit tells",
			releases: []*v1alpha1.Release{brings(1, nil, dev(done, "web:1")), brings(2, []string{"web:2" + digest}, dev(back, "web:2"))},
			want:     []string{"web:2" + digest},
		},
		"UnknownBefore": {
			reason:   "nothing is known of what ran before: only what the commit writes is new",
			releases: []*v1alpha1.Release{brings(2, []string{"web:2" + digest}, dev(back, "web:2", "proxy:1"))},
			want:     []string{"web:2" + digest},
		},
		"UnknownBeforeAndUntold": {
			releases: []*v1alpha1.Release{brings(2, nil, dev(back, "web:2"))},
		},
		"ByDigest": {
			reason:   "an image that is written by its digest",
			releases: []*v1alpha1.Release{brings(1, nil, dev(done, "web@sha256:1")), brings(2, nil, dev(back, "web@sha256:2"))},
			want:     []string{"web@sha256:2"},
		},
		"NotIntended": {
			reason:   "a status of an environment that the Release does not have",
			releases: []*v1alpha1.Release{{Status: v1alpha1.ReleaseStatus{Environments: []v1alpha1.ReleaseEnvironmentStatus{{Name: "dev", Stage: failed}}}}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Quarantine(tc.releases)); diff != "" {
				t.Errorf("%s\n%s", tc.reason, diff)
			}
		})
	}
}
