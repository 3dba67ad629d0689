package tracker

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
	"github.com/sengu-dev/sengu/internal/testenv"
)

// TestUnreadable has the folder of one service, and that of an environment of another, become a submodule that
// cannot be reached: all others are followed, nothing is written of the two, and they are read again as soon as they can be.
func TestUnreadable(t *testing.T) {
	s := newStage(t, func(h *hub) files {
		h.push("shop/web", "1.1.0", 1)
		all := files{}
		for _, service := range []string{"web", "away", "half"} {
			all["apps/"+service+"/sengu.yaml"] = tracks(image1(h, "web", "{semver: 1.x}", ""))
			all["apps/"+service+"/dev/kustomization.yaml"] = kustomization("web", "1.0.0")
		}
		return all
	}, func(f *v1alpha1.FleetSpec) {
		f.Remotes = []v1alpha1.Remote{{Prefix: strings.TrimSuffix(f.Git.URL, "fleet.git")}}
	})
	s.says("apps/away/dev/kustomization.yaml", "newTag: 1.1.0")
	s.says("apps/half/dev/kustomization.yaml", "newTag: 1.1.0")
	away, module := s.library(tracks(image1(s.hub, "web", "{semver: 1.x}", "")))
	s.git(bytes.NewBufferString("commit refs/heads/main\ncommitter somebody <somebody@example.com> 1800000000 +0000\ndata 1\nx\nfrom refs/heads/main^0\n"+
		"D apps/away\nM 160000 "+module+" apps/away\n"+
		"D apps/half/dev\nM 160000 1111111111111111111111111111111111111111 apps/half/dev\n\n"), "fast-import", "--quiet")
	s.commit(files{
		".gitmodules": "[submodule \"a\"]\n\tpath = apps/away\n\turl = ../away.git\n" +
			"[submodule \"b\"]\n\tpath = apps/half/dev\n\turl = https://git.example.com/b.git\n",
		"apps/web/dev/kustomization.yaml": kustomization("web", "1.0.5"),
	})
	s.told("ImagesNotFollowed", "service away cannot be read, and its images stay as they are")
	s.told("ImagesNotFollowed", "service half cannot be read, and its images stay as they are")
	s.says("apps/web/dev/kustomization.yaml", "newTag: 1.1.0")
	s.looks("web", func(l Look) error {
		if l.Written.Tag != "1.1.0" {
			return fmt.Errorf("Git says %+v", l.Written) // the last commit has not been read
		}
		return nil
	})
	for _, l := range s.r.Looks(nameOf(s.fleet)) {
		if l.Service != "web" {
			t.Errorf("%s is still written", l.Service)
		}
	}
	if err := os.Rename(away, filepath.Join(filepath.Dir(s.bare), "away.git")); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, patience, func() error {
		s.clock.Step(reread)
		all := s.r.Looks(nameOf(s.fleet))
		if !slices.ContainsFunc(all, func(l Look) bool { return l.Service == "away" }) {
			return fmt.Errorf("the service is not read again, but %+v", all)
		}
		return nil
	})
}

// library is a repository that nobody serves yet, of a service that tracks an image, and its commit.
func (s *stage) library(delivery string) (dir, commit string) {
	s.Helper()
	dir, err := gitserver.CreateBare(s.Context(), s.TempDir(), "away.git", "main")
	if err != nil {
		s.Fatal(err)
	}
	fleet := s.bare
	s.bare = dir
	defer func() { s.bare = fleet }()
	s.write(files{"sengu.yaml": delivery, "dev/kustomization.yaml": kustomization("web", "1.0.0")})
	return dir, s.git(nil, "rev-parse", "main")
}
