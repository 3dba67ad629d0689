package fleet

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// TestHears has one push bring a commit for each of two services, and one of somebody else on top: each Release knows the
// digest of its image.
func TestHears(t *testing.T) {
	told := func(service, tag, digit string) (text, trailer string) {
		text = imageOf(service, tag) + "@sha256:" + strings.Repeat(digit, 64)
		return text, service + ": to " + tag + "\n\nSengu-Image: " + text + "\n"
	}
	content := tagged("web", "1")
	maps.Copy(content, tagged("api", "1"))
	s := newStreet(t, content)
	_, older := told("web", "2", "1")
	web, newer := told("web", "2", "2")
	api, other := told("api", "2", "3")
	s.commit(older, map[string]string{fileOf("web", "develop"): kustomized("web", "2")})
	s.commit(newer, map[string]string{"other": "a"})
	s.commit(other, map[string]string{fileOf("api", "develop"): kustomized("api", "2")})
	head := s.commit("somebody else's", map[string]string{"other": "b"})

	look := s.survey(head, "web", "api")
	if look.images != nil {
		t.Errorf("commits are read before anything has to be released: %v", look.images)
	}
	// What is given up learns nothing, and spoils nothing for others.
	ended, end := context.WithCancel(t.Context())
	end()
	if err := look.hear(ended); err == nil || look.images != nil {
		t.Errorf("without time, it hears %v: %v", look.images, err)
	}
	for service, want := range map[string]string{"web": web, "api": api} {
		if diff := cmp.Diff([]string{want}, s.release(look, service).Spec.Commit.Images); diff != "" {
			t.Errorf("%s: %s", service, diff)
		}
	}
}

// TestHearsWhatWasGivenUp looks at a service anew whose last look came to no end: what was told meanwhile counts still.
func TestHearsWhatWasGivenUp(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("1", 64)
	for name, tc := range map[string]struct {
		fails func(*street) map[string]bool
		again bool
	}{
		"StillLooked": {func(s *street) map[string]bool {
			s.r.planner.tasks[task{types.NamespacedName{Namespace: "sengu", Name: "shop"}, "web"}] = &attempt{}
			return map[string]bool{"web": false}
		}, false},
		"Failed":    {func(*street) map[string]bool { return map[string]bool{"web": true} }, false},
		"SameAgain": {func(*street) map[string]bool { return map[string]bool{"web": false} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, tagged("web", "1"))
			head := s.commit("web: to 2\n\nSengu-Image: "+imageOf("web", "2")+digest+"\n", map[string]string{fileOf("web", "develop"): kustomized("web", "2")})
			head2 := s.commit("somebody else's", map[string]string{"other": "a"})
			if tc.again {
				head = head2
			}
			s.survey(head, "web") // its end does not come
			look := s.survey(head2)
			s.st.compared = head
			if err := look.begin(t.Context(), tc.fails(s)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{imageOf("web", "2") + digest}, s.release(look, "web").Spec.Commit.Images); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHearsNewestOnly has no commit to begin with: the newest is read, and nothing fails.
func TestHearsNewestOnly(t *testing.T) {
	s := newStreet(t, tagged("web", "1"))
	text := imageOf("web", "2") + "@sha256:" + strings.Repeat("1", 64)
	look := s.survey(s.commit("web: to 2\n\nSengu-Image: "+text+"\n", nil), "web")
	look.since = strings.Repeat("0", 40)
	if err := look.hear(t.Context()); err != nil || !cmp.Equal(look.images, []string{text}) {
		t.Errorf("it hears %v: %v", look.images, err)
	}
}

// TestHearsSinceFurthest says since when commits are asked for what they tell, if it is not known when services were looked at
// last: since the one that lies furthest back of those that they were released with, or found with.
func TestHearsSinceFurthest(t *testing.T) {
	content := tagged("web", "1")
	maps.Copy(content, tagged("api", "1"))
	delete(content, fileOf("api", "develop"))
	s := newStreet(t, content)
	first := s.st.compared
	one := s.release(s.survey(s.commit("web: to 2", map[string]string{fileOf("web", "develop"): kustomized("web", "2")}), "web"), "web")
	both := map[string]bool{"web": true, "api": true}
	look := s.survey(s.commit("somebody else's", map[string]string{"other": "a"}))
	if err := look.begin(t.Context(), both); err != nil || look.since != first { // api is as it was found first
		t.Errorf("since %q: %v", look.since, err)
	}
	two := s.release(s.survey(s.commit("api: to 2", map[string]string{fileOf("api", "staging"): kustomized("api", "2")}), "api"), "api")
	look = s.survey(s.commit("somebody else's", map[string]string{"other": "bb"}))
	if err := look.begin(t.Context(), both); err != nil || look.since != one.Spec.Revision {
		t.Errorf("since %q, want %s: %v", look.since, one.Spec.Revision, err)
	}
	if err := look.begin(t.Context(), map[string]bool{"api": true}); err != nil || look.since != two.Spec.Revision {
		t.Errorf("since %q, want %s: %v", look.since, two.Spec.Revision, err)
	}
}
