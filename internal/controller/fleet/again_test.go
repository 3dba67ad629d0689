package fleet

import (
	"maps"
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/layout"
)

// TestAgain numbers the Releases of a commit that renders something else than before: all of them are one group, also if
// it happens to it twice.
func TestAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		newest course
		last   int64
		want   int64
	}{
		"First":  {"nothing is newer than the Releases of the commit", course{Sequence: 7, Revision: "r"}, 7, 8},
		"Second": {"the first of them has made the group", course{Sequence: 8, Revision: "r"}, 7, 8},
		"Twice":  {"it renders a third thing", course{Sequence: 8, Revision: "r"}, 8, 9},
		"Newer":  {"what is newest is of another commit", course{Sequence: 9, Revision: "s"}, 7, 10},
	} {
		t.Run(name, func(t *testing.T) {
			if got := again(tc.newest, tc.last, "r"); got != tc.want {
				t.Errorf("%s: it is %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

// TestAnew has services render something else than they were released as, at a commit that everything has been compared with:
// they are one group, and not that of the commit, which somebody may have approved.
func TestAnew(t *testing.T) {
	content := tagged("web", "1")
	for _, service := range []string{"api", "jobs"} {
		maps.Copy(content, tagged(service, "1"))
	}
	s := newStreet(t, content)
	s.sequence = 6
	own := s.push(map[string]string{fileOf("web", "develop"): kustomized("web", "2")})
	if own == nil || own.Spec.Sequence != 7 {
		t.Fatalf("the commit has made %+v", own)
	}
	s.fleet.Status.Revision, s.fleet.Status.Sequence = own.Spec.Revision, own.Spec.Sequence
	renders := func(service string) *v1alpha1.Release {
		for _, env := range []string{"develop", "staging"} {
			m, _ := s.st.roster.member(layout.NameOfApp("shop", service, env))
			m.Digest, m.Otherwise = "another", true
			s.st.roster.put(m)
		}
		look := s.survey(own.Spec.Revision, service)
		look.sequence, look.anew = sequenceOf(s.fleet, s.st.roster.last(), own.Spec.Revision), anew(s.fleet, s.st, own.Spec.Revision)
		return s.release(look, service)
	}
	for _, service := range []string{"api", "jobs"} {
		is := renders(service)
		if is == nil || is.Spec.Sequence != 8 || is.Spec.Group == own.Spec.Group || is.Spec.Revision != own.Spec.Revision {
			t.Errorf("%s: it has sequence %d in group %s, and the commit is group %s", service, is.Spec.Sequence, is.Spec.Group, own.Spec.Group)
		}
	}
	if next := s.push(map[string]string{fileOf("web", "develop"): kustomized("web", "3")}); next.Spec.Group == own.Spec.Group {
		t.Errorf("the next commit is in group %s", next.Spec.Group)
	}
	for name, change := range map[string]func(*v1alpha1.Fleet, *state){
		"TheNextCommit": func(f *v1alpha1.Fleet, _ *state) { f.Status.Revision = "another" },
		"NotAllYet":     func(f *v1alpha1.Fleet, _ *state) { f.Status.Comparing = 1 },
		"NotYetWell":    func(_ *v1alpha1.Fleet, st *state) { why := "it is tried again"; st.planFailure.Store(&why) },
	} {
		f, st := s.fleet.DeepCopy(), &state{}
		if change(f, st); anew(f, st, own.Spec.Revision) {
			t.Errorf("%s: what is looked at is none of the commit's", name)
		}
	}
}
