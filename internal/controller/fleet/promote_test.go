package fleet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func wants(tag string) []v1alpha1.WantedImage {
	return []v1alpha1.WantedImage{{Name: "web", Image: imageOf("web", tag)}}
}

// promotes checks that an environment is to get an image by a commit of Sengu.
func (s *street) promotes(is v1alpha1.ReleaseEnvironment, tag string) {
	s.Helper()
	if is.Promote != v1alpha1.PromoteCommit || is.Problem != "" || is.Digest == "" || !cmp.Equal(is.Wanted, wants(tag)) {
		s.Errorf("it promotes %v by %q with digest %q, not %s: %s", is.Wanted, is.Promote, is.Digest, tag, is.Problem)
	}
}

// TestUnwrittenIsKept has an image come to an environment into whose file it cannot be written: nothing waits for it to
// be, and it is promoted once somebody has mended the file.
func TestUnwrittenIsKept(t *testing.T) {
	twice := kustomized("web", "1") + "- {name: web, newTag: \"1\"}\n"
	for name, tc := range map[string]struct{ broken, problem string }{
		"NotWritten":  {twice, "the image web cannot be written"},
		"NotRendered": {strings.Replace(kustomized("web", "1"), "../base", "../gone", 1), "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, tagged("web", "1"))
			one := s.push(map[string]string{fileOf("web", "develop"): kustomized("web", "2"), fileOf("web", "staging"): tc.broken})
			is := s.intends(one, "staging")
			if !strings.Contains(is.Problem, tc.problem) || is.Promote != "" || !cmp.Equal(is.Wanted, wants("2")) {
				t.Fatalf("it wants %v by %q: %s", is.Wanted, is.Promote, is.Problem)
			}
			s.runs("web", "develop", one.Spec.Revision)
			s.promotes(s.intends(s.push(map[string]string{fileOf("web", "staging"): kustomized("web", "1")}), "staging"), "2")
		})
	}
}

// TestBrokenBefore breaks the environment before, which goes on to run what it ran. What it runs once it is mended is
// promoted if it is other than that, and what was on its way is so still.
func TestBrokenBefore(t *testing.T) {
	broken := map[string]string{fileOf("web", "develop"): "resources: [../gone]\n"}
	mended := func(tag string) map[string]string {
		return map[string]string{fileOf("web", "develop"): kustomized("web", tag)}
	}
	t.Run("Same", func(t *testing.T) {
		s := newStreet(t, tagged("web", "1"))
		// Staging runs an older one, which somebody chose.
		s.runs("web", "staging", s.push(map[string]string{fileOf("web", "staging"): kustomized("web", "0")}).Spec.Revision)
		if is := s.intends(s.push(broken), "develop"); is.Problem == "" {
			t.Fatalf("develop is not broken: %+v", is)
		}
		if is := s.intends(s.push(mended("1")), "staging"); is.Promote != "" || len(is.Wanted) > 0 {
			t.Errorf("staging gets %v by %q, although develop runs what it ran", is.Wanted, is.Promote)
		}
	})
	t.Run("Another", func(t *testing.T) {
		s := newStreet(t, tagged("web", "1"))
		s.push(broken)
		s.promotes(s.intends(s.push(mended("2")), "staging"), "2")
	})
	t.Run("OnItsWay", func(t *testing.T) {
		s := newStreet(t, tagged("web", "1"))
		one := s.push(mended("2"))
		s.promotes(s.intends(one, "staging"), "2")
		s.runs("web", "develop", one.Spec.Revision)
		s.promotes(s.intends(s.push(broken), "staging"), "2")
		s.promotes(s.intends(s.push(mended("2")), "staging"), "2")
	})
}
