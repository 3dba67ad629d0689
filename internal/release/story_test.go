package release

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

func TestStory(t *testing.T) {
	at := metav1.NewTime(noon)
	r := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: "web.shop.abc.1", UID: "u"},
		Spec: v1alpha1.ReleaseSpec{
			Fleet: "shop", Service: "web", Revision: "abc", Group: "g", Commit: v1alpha1.Commit{Title: "Change", Author: "A <a@example.com>", Committed: &at},
			Environments: []v1alpha1.ReleaseEnvironment{{Name: "dev", Images: []string{"registry.example.com:5000/web:1.2@sha256:1", "redis"}}},
		},
		Status: v1alpha1.ReleaseStatus{
			Environments: []v1alpha1.ReleaseEnvironmentStatus{{Name: "dev", Previous: "old"}},
			Journal: []v1alpha1.Transition{
				{Number: 1, Kind: "created", At: at},
				{Number: 2, Kind: "approved", Environment: "dev", At: at, By: "operator", Why: "fine"},
			},
		},
	}
	want := []history.Event{
		{
			Key: "u/web.shop.abc.1/1", Time: noon, Kind: history.Created, Fleet: "shop", Service: "web", Release: "web.shop.abc.1", Group: "g",
			Revision: "abc", Title: "Change", Author: "A <a@example.com>", Committed: noon, By: "sengu",
		},
		{
			Key: "u/web.shop.abc.1/2", Time: noon, Kind: history.Approved, Fleet: "shop", Service: "web", Environment: "dev", Release: "web.shop.abc.1",
			Group: "g", Revision: "abc", Previous: "old", Title: "Change", Author: "A <a@example.com>", Committed: noon, By: "operator", Why: "fine",
			Images: []history.Image{{Name: "registry.example.com:5000/web", Tag: "1.2", Digest: "sha256:1"}, {Name: "redis"}},
		},
	}
	if diff := cmp.Diff(want, Story(r)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAppStory(t *testing.T) {
	at := metav1.NewTime(noon)
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: "web.dev.shop", UID: "u"}, Spec: v1alpha1.AppSpec{Fleet: "shop", Service: "web", Environment: "dev"}}
	if got := AppStory(app, nil); len(got) != 0 {
		t.Errorf("an App that nobody held tells %v", got)
	}
	app.Spec.Hold = &v1alpha1.Hold{At: at, Reason: "it failed", Release: "r"}
	if got := AppStory(app, nil); len(got) != 0 {
		t.Errorf("a hold after a failure is told twice: %v", got)
	}
	app.Spec.Hold = &v1alpha1.Hold{By: "operator", At: at, Reason: "incident", Ended: &v1alpha1.HoldEnd{By: "other", At: at}}
	got := AppStory(app, nil)
	if len(got) != 2 || got[0].Kind != history.Held || got[0].By != "operator" || got[1].Kind != history.Resumed || got[1].By != "other" {
		t.Errorf("a hold that a person made and another ended tells %+v", got)
	}
}

// TestTheEndOfAHoldIsToldOnce counts who tells of it, the Release or the App, at every moment from then on.
func TestTheEndOfAHoldIsToldOnce(t *testing.T) {
	tests := map[string]struct {
		story func(*scene)
		// byRelease says who tells it in the end.
		byRelease bool
	}{
		"OfAFailure":              {func(*scene) {}, true},
		"OfAPersonOverAFailure":   {func(s *scene) { s.holds("prod", "") }, true},
		"OfOneThatWasNotSeen":     {func(s *scene) { s.holdsUnseen("prod", "") }, true},
		"OfARollback":             {func(s *scene) { s.becomes("prod", v1alpha1.Healthy); s.holds("prod", "r0") }, true},
		"OfARollbackNotSeen":      {func(s *scene) { s.holdsUnseen("prod", "r0") }, true},
		"OfARollbackOfWhatPassed": {func(s *scene) { s.resumes("prod"); s.passes("r2", "prod"); s.holds("prod", "r1") }, true},
		"OfAPersonAlone":          {func(s *scene) { s.resumes("prod"); s.passes("r2", "prod"); s.holds("prod", "") }, false},
		"OfAPersonAloneNotSeen":   {func(s *scene) { s.resumes("prod"); s.passes("r2", "prod"); s.holdsUnseen("prod", "") }, false},
		"OfARollbackToTheSame":    {func(s *scene) { s.resumes("prod"); s.passes("r2", "prod"); s.holds("prod", "r2") }, false},
		"AfterAnAbort": {func(s *scene) {
			s.resumes("prod")
			s.acts("r2", "prod", v1alpha1.VerbAbort, false)
			s.holds("prod", "")
		}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := failedSecond(t)
			tt.story(s)
			byReleases := func() (n int) {
				for _, r := range s.Releases {
					for _, e := range Story(r) {
						if e.Kind == history.Resumed && !e.Time.Before(s.Apps["prod"].Spec.Hold.Ended.At.Time) {
							n++
						}
					}
				}
				return n
			}
			byApp := func() (n int) {
				s.Apps["prod"].Spec.Environment = "prod"
				var releases []v1alpha1.Release
				for _, r := range s.Releases {
					releases = append(releases, *r)
				}
				for _, e := range AppStory(s.Apps["prod"], releases) {
					if e.Kind == history.Resumed {
						n++
					}
				}
				return n
			}
			s.end("prod")
			early := byApp()
			s.settle()
			settled := byApp()
			if tt.byRelease {
				s.passes("r2", "prod")
			}
			want := [4]int{0, 0, 0, 1}
			if !tt.byRelease {
				want = [4]int{early, 1, 1, 0} // it may wait for the decision, but not longer
			}
			if got := [4]int{early, settled, byApp(), byReleases()}; got != want {
				t.Errorf("told by the App at once, then and later, and by Releases: %v, want %v", got, want)
			}
		})
	}
}
