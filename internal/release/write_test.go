package release

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// onTheWay is a Release that has passed dev and comes to prod through Git.
func onTheWay(way v1alpha1.Promote, prod v1alpha1.Environment) Service {
	prod.Name, prod.After = "prod", []string{"dev"}
	r := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: "r1"},
		Spec: v1alpha1.ReleaseSpec{Revision: "a", Sequence: 1, Environments: []v1alpha1.ReleaseEnvironment{
			{Name: "dev", Digest: "d1"},
			{Name: "prod", Digest: "p1", Promote: way, Wanted: []v1alpha1.WantedImage{{Name: "web", Image: "web:2"}}},
		}},
		Status: v1alpha1.ReleaseStatus{Stage: v1alpha1.StageWaiting, Environments: []v1alpha1.ReleaseEnvironmentStatus{
			{Name: "dev", Stage: v1alpha1.StageDone}, {Name: "prod", Stage: v1alpha1.StageWaiting},
		}},
	}
	return Service{
		Now: noon, Fleet: fleetOf(v1alpha1.Environment{Name: "dev"}, prod), Name: "web", Releases: []*v1alpha1.Release{r},
		Apps: map[string]*v1alpha1.App{}, Plans: map[Place]Plan{{"r1", "prod"}: {FailAfter: time.Second, Deadline: time.Minute}},
	}
}

var inProd = Place{"r1", "prod"}

// closedGates are the names of the gates that r1 stands before in prod.
func closedGates(d Decision) []string {
	var names []string
	for _, g := range d.Statuses["r1"].Environments[1].Gates {
		if !g.Open {
			names = append(names, g.Name)
		}
	}
	return names
}

func TestChangeIsCommittedOnceNothingElseKeepsIt(t *testing.T) {
	s := onTheWay(v1alpha1.PromoteCommit, v1alpha1.Environment{Windows: []string{"deny"}})
	s.Windows = map[string]Window{"prod": {Rule: "deny", Until: noon.Add(time.Hour)}}
	if d := Next(s); len(d.Writes) > 0 || !slices.Equal(closedGates(d), []string{"git", "windows"}) {
		t.Errorf("outside of the window it writes %v, and stands before %v", d.Writes, closedGates(d))
	}
	s.Windows = nil
	d := Next(s)
	if !slices.Equal(d.Writes, []Place{inProd}) || len(d.Moves) > 0 {
		t.Errorf("within the window it writes %v and moves %v", d.Writes, d.Moves)
	}
	// The commit is there, and is the step of the Release: it is what the App is brought to.
	s.Written = map[Place]Written{inProd: {ProposalStatus: v1alpha1.ProposalStatus{Commit: "b"}}}
	if d := Next(s); d.Statuses["r1"].Environments[1].Proposal.Commit != "b" || len(d.Moves) > 0 {
		t.Errorf("before the branch was compared: %+v", d)
	}
	s.Releases[0].Spec.Steps = []v1alpha1.ReleaseStep{{Environment: "prod", Revision: "c"}}
	if d := Next(s); d.Moves["prod"].Source.Revision != "c" || d.Moves["prod"].Digest != "p1" || len(d.Writes) > 0 {
		t.Errorf("it is brought to %+v, and writes %v", d.Moves["prod"], d.Writes)
	}
}

func TestPullRequestIsOpenedAtOnceAndMergingIsTheApproval(t *testing.T) {
	s := onTheWay(v1alpha1.PromotePullRequest, v1alpha1.Environment{Approval: &v1alpha1.ApprovalRule{Required: 2}, Windows: []string{"deny"}})
	s.Windows = map[string]Window{"prod": {Rule: "deny", Until: noon.Add(time.Hour)}}
	if d := Next(s); !slices.Equal(d.Writes, []Place{inProd}) {
		t.Errorf("it writes %v", d.Writes)
	}
	s.Written = map[Place]Written{inProd: {ProposalStatus: v1alpha1.ProposalStatus{Commit: "b", Branch: "x", Number: 7, URL: "https://git.example.com/7"}}}
	d := Next(s)
	if why := d.Statuses["r1"].Environments[1].Why; why == nil || !strings.Contains(why.Message, "#7 (https://git.example.com/7) has to be merged") {
		t.Errorf("it says %+v", why)
	}
	s.Releases[0].Spec.Steps = []v1alpha1.ReleaseStep{{Environment: "prod", Revision: "c"}}
	if d := Next(s); !slices.Equal(closedGates(d), []string{"windows"}) || len(d.Moves) > 0 {
		t.Errorf("merged outside of the window it stands before %v", closedGates(d))
	}
	s.Windows = nil
	if d := Next(s); d.Moves["prod"].Source.Revision != "c" {
		t.Errorf("merged and within the window it is brought to %+v", d.Moves["prod"])
	}
}

func TestNothingIsWrittenWhileAPersonHolds(t *testing.T) {
	for _, way := range []v1alpha1.Promote{v1alpha1.PromoteCommit, v1alpha1.PromotePullRequest} {
		s := onTheWay(way, v1alpha1.Environment{})
		s.Apps["prod"] = &v1alpha1.App{Spec: v1alpha1.AppSpec{Hold: &v1alpha1.Hold{By: "alice"}}}
		if d := Next(s); len(d.Writes) > 0 {
			t.Errorf("%s: it writes %v", way, d.Writes)
		}
	}
}

func TestWhatFailedIsTakenBackInGit(t *testing.T) {
	s := onTheWay(v1alpha1.PromoteCommit, v1alpha1.Environment{})
	r := s.Releases[0]
	r.Spec.Steps = []v1alpha1.ReleaseStep{{Environment: "prod", Revision: "c"}}
	moved := metav1.NewTime(noon.Add(-time.Minute))
	r.Status.Environments[1] = v1alpha1.ReleaseEnvironmentStatus{
		Name: "prod", Stage: v1alpha1.StageRunning, Moved: &moved, Degraded: &moved, Unhealthy: &moved,
		Proposal: &v1alpha1.ProposalStatus{Commit: "b"},
	}
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Spec: v1alpha1.AppSpec{
		Source: v1alpha1.AppSource{Revision: "c"}, Digest: "p1", Release: "r1",
		LastGood: &v1alpha1.GoodSource{Source: v1alpha1.AppSource{Revision: "before"}, Digest: "p0"},
	}}
	app.Status.ObservedGeneration, app.Status.Revision, app.Status.Health = 1, "c", v1alpha1.Degraded
	s.Apps["prod"] = app
	d := Next(s)
	is := d.Statuses["r1"].Environments[1].Proposal
	if d.Moves["prod"].Source.Revision != "before" || is == nil || !is.Revert || is.Commit != "" {
		t.Fatalf("it is brought to %+v, and Git is told %+v", d.Moves["prod"], is)
	}
	r.Status = d.Statuses["r1"]
	app.Spec.Source, app.Spec.Release, app.Spec.Hold = d.Moves["prod"].Source, "", d.Moves["prod"].Hold
	// What was on its way when it failed comes too late, and does not count as taken back.
	s.Written = map[Place]Written{inProd: {ProposalStatus: v1alpha1.ProposalStatus{Commit: "b"}}}
	if d := Next(s); !slices.Equal(d.Writes, []Place{inProd}) {
		t.Errorf("it writes %v", d.Writes)
	}
	s.Written = map[Place]Written{inProd: {ProposalStatus: v1alpha1.ProposalStatus{Commit: "e", Revert: true}}}
	d = Next(s)
	if is := d.Statuses["r1"].Environments[1].Proposal; len(d.Writes) > 0 || is.Commit != "e" {
		t.Errorf("once it is taken back it writes %v, and the status says %+v", d.Writes, is)
	}
}
