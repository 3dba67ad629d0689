package fleet

import (
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/standing"
)

// TestRecallStanding says which records a new Fleet begins with by itself, and which a person has to look at: whoever may
// push to any ref can write one.
func TestRecallStanding(t *testing.T) {
	tests := map[string]struct {
		change func(was *standing.App, later string)
		// word is true if a person has confirmed the record.
		word bool
		want string
	}{
		"OnTheBranch":      {change: func(*standing.App, string) {}},
		"NotOnTheBranch":   {change: func(was *standing.App, later string) { was.Source.Revision = later }, want: "which is not on branch main"},
		"Nowhere":          {change: func(was *standing.App, _ string) { was.Source.Revision = strings.Repeat("0", 40) }, want: "ran 0000000, which is not on branch main"},
		"AnotherCluster":   {change: func(was *standing.App, _ string) { was.Source.Cluster = "prod" }, want: "ran in namespace web of cluster prod, and this fleet delivers it to web of dev"},
		"AnotherNamespace": {change: func(was *standing.App, _ string) { was.Source.Namespace = "kube-system" }, want: "ran in namespace kube-system of cluster dev"},
		"AnotherFolder":    {change: func(was *standing.App, _ string) { was.Source.Path = "apps/web/staging" }, want: `ran from "apps/web/staging", which the layout`},
		"NoFolder":         {change: func(was *standing.App, _ string) { was.Source.Path = "apps/web" }, want: `ran from "apps/web", which the layout`},
		"NoEnvironment":    {change: func(was *standing.App, later string) { was.Environment, was.Source.Revision = "gone", later }},
		"Confirmed":        {change: func(was *standing.App, later string) { was.Source.Revision, was.Source.Cluster = later, "prod" }, word: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, tagged("web", "1"))
			head := s.st.compared
			later := s.commit("not reviewed", map[string]string{fileOf("web", "develop"): kustomized("web", "2")})
			was := standing.App{Service: "web", Environment: "develop", Source: v1alpha1.AppSource{Revision: head, Path: "apps/web/develop", Cluster: "dev", Namespace: "web"}}
			tt.change(&was, later)
			files, err := standing.Record{Fleet: s.fleet.Spec, Apps: []standing.App{was}}.Files()
			if err != nil {
				t.Fatal(err)
			}
			hash, err := s.repository.PushState(t.Context(), gitrepo.StateUpdate{
				Ref: standing.Ref("shop"), Files: files, Keep: []string{head, later}, Author: gitrepo.Identity{Name: "a", Email: "a@example.com"}, Message: "What runs",
			}, gitrepo.Auth{})
			if err != nil {
				t.Fatal(err)
			}
			if tt.word {
				s.fleet.Annotations = map[string]string{standing.AnnotationRestore: hash}
			}
			err = s.r.recallStanding(t.Context(), s.fleet, s.st, s.repository, head)
			switch {
			case tt.want == "":
				if err != nil || !s.st.recalled || len(s.st.standing) != 1 {
					t.Errorf("it begins with %v: %v", s.st.standing, err)
				}
			case err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "says that web in develop ran") || !strings.Contains(err.Error(), "`sengu restore "+s.fleet.Spec.Git.URL+" --fleet shop`"):
				t.Errorf("got %v, want %q and the way out", err, tt.want)
			case s.st.recalled || s.st.standing != nil:
				t.Errorf("it begins with %v all the same", s.st.standing)
			}
		})
	}
}
