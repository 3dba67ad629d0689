package fleet

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// library puts a repository beside that of the Fleet, with one commit of a file, and returns its URL and the commit.
func (s *street) library(name, content string) (url, commit string) {
	s.Helper()
	bare, err := gitserver.CreateBare(s.Context(), filepath.Dir(s.bare), "lib.git", "main")
	if err != nil {
		s.Fatal(err)
	}
	git := func(stdin string, args ...string) string {
		cmd := exec.CommandContext(s.Context(), "git", args...)
		cmd.Dir, cmd.Env, cmd.Stdin = bare, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + bare, "GIT_CONFIG_NOSYSTEM=1"}, bytes.NewBufferString(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			s.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("commit refs/heads/main\ncommitter somebody <somebody@example.com> 1800000000 +0000\ndata 1\nx\nM 100644 inline "+name+"\ndata <<END\n"+content+"END\n\n",
		"fast-import", "--quiet")
	return strings.TrimSuffix(s.fleet.Spec.Git.URL, "fleet.git") + "lib.git", git("", "rev-parse", "main")
}

// observe observes a revision, as a Reconcile does that has nothing to write.
func (s *street) observe(revision string) (observation, plan) {
	s.Helper()
	s.st.listed = true
	o, err := s.r.observe(s.Context(), s.fleet, s.st, revision)
	if err != nil {
		s.Fatal(err)
	}
	p := decide(o)
	s.r.report(s.fleet, s.st, revision, p)
	s.st.compared, s.st.decided = revision, s.fleet.Generation
	return o, p
}

// ready is what the Fleet says of itself.
func (s *street) ready() string {
	c := meta.FindStatusCondition(s.fleet.Status.Conditions, v1alpha1.ConditionReady)
	return c.Reason + ": " + c.Message
}

// leaves fails unless nothing is done about web, and api is looked at.
func (s *street) leaves(what string, o observation, p plan) {
	s.Helper()
	if _, looked := o.concerned["web"]; looked {
		s.Errorf("%s: a service that cannot be read is looked at", what)
	}
	if _, looked := o.concerned["api"]; !looked {
		s.Errorf("%s: another is not: %v", what, o.concerned)
	}
	if len(p.Create)+len(p.Update)+len(p.Delete) > 0 || p.Waiting != nil || p.Why != "" {
		s.Errorf("%s: it is decided to do %+v", what, p)
	}
	if got := s.ready(); !strings.HasPrefix(got, "NotCompared: service web cannot be read, and is left as it is: read folder apps/web: ") ||
		!strings.Contains(got, "add it to spec.remotes") {
		s.Errorf("%s: the Fleet says %q", what, got)
	}
}

// TestUnreadable has the folder of a service that runs become a submodule that is not allowed. It is left as it is, also
// after a start and if a Release means it to go; all others are looked at, and so is the service once it can be read.
func TestUnreadable(t *testing.T) {
	pod := func(tag string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: \"registry.example.com/a:" + tag + "\"}]}\n"
	}
	const web, api = "apps/web/develop/x.yaml", "apps/api/develop/x.yaml"
	s := newStreet(t, map[string]string{web: pod("1"), api: pod("1")})
	s.r.Now, s.fleet.Generation, s.fleet.Status.Revision = time.Now, 1, s.st.compared
	first := s.st.compared
	run := func() {
		for _, service := range []string{"web", "api"} {
			s.runs(service, "develop", first)
			m, _ := s.st.roster.member(service + ".develop.shop")
			m.SelfHeal, m.Settled = true, true
			s.st.roster.put(m)
		}
	}
	run()
	s.observe(first)
	url, module := s.library("develop/x.yaml", pod("2"))
	head := s.commit("a submodule", map[string]string{api: pod("2"), ".gitmodules": "[submodule \"lib\"]\n\tpath = apps/web\n\turl = " + url + "\n"},
		"D apps/web", "M 160000 "+module+" apps/web")
	o, p := s.observe(head)
	s.leaves("a commit", o, p)
	if one := s.release(o.look, "api"); one == nil {
		t.Error("another service that the commit changes gets no Release")
	}

	s.st = &state{roster: newRoster()}
	run()
	o, p = s.observe(head)
	s.leaves("after a start", o, p)
	m, _ := s.st.roster.member("web.develop.shop")
	m.Removal = v1alpha1.RemovalApproved
	s.st.roster.put(m)
	s.st.roster.suspect("api")
	o, p = s.observe(head)
	s.leaves("on its way out", o, p)

	m.Removal = ""
	s.st.roster.put(m)
	s.fleet.Spec.Remotes = []v1alpha1.Remote{{Prefix: strings.TrimSuffix(url, "lib.git")}}
	o, _ = s.observe(head)
	if anew, looked := o.concerned["web"]; !looked || !anew {
		t.Fatalf("once it can be read, it is not looked at: %v, %s", o.concerned, s.ready())
	}
	if one := s.release(o.look, "web"); s.intends(one, "develop").Gone {
		t.Errorf("it is meant to be %+v", one.Spec.Environments)
	}
	if got := s.ready(); strings.Contains(got, "web") {
		t.Errorf("the Fleet says %q", got)
	}
}
