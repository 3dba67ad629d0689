package cli

import (
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestStandsBeforePerson says when watching a Release is of no more use: it waits for a person, and nothing else goes on.
func TestStandsBeforePerson(t *testing.T) {
	waits := func(gates ...v1alpha1.Gate) v1alpha1.ReleaseEnvironmentStatus {
		return v1alpha1.ReleaseEnvironmentStatus{Stage: v1alpha1.StageWaiting, Gates: gates}
	}
	in := func(stage v1alpha1.Stage) v1alpha1.ReleaseEnvironmentStatus {
		return v1alpha1.ReleaseEnvironmentStatus{Stage: stage}
	}
	closed := func(name string) v1alpha1.Gate { return v1alpha1.Gate{Name: name, Message: "it is closed"} }
	open := func(name string) v1alpha1.Gate { return v1alpha1.Gate{Name: name, Open: true} }
	type places []v1alpha1.ReleaseEnvironmentStatus
	cases := map[string]struct {
		places           places
		actions, handled int
		want             bool
	}{
		"Approval":        {places: places{in(v1alpha1.StageDone), waits(open("hold"), open("windows"), closed("approval"))}, want: true},
		"Hold":            {places: places{waits(closed("hold"), closed("turn"), closed("approval"))}, want: true},
		"Removal":         {places: places{waits(closed("removal"))}, want: true},
		"Failures":        {places: places{waits(closed("failures"))}, want: true},
		"Merge":           {places: places{waits(open("hold"), closed("merge"))}, want: true},
		"LaterOnes":       {places: places{waits(closed("approval")), waits(closed("after"))}, want: true},
		"BesideOneFailed": {places: places{in(v1alpha1.StageFailed), waits(closed("approval")), in(v1alpha1.StageSuperseded), in(v1alpha1.StageRolledBack)}, want: true},
		"WindowFirst":     {places: places{waits(closed("windows"), closed("approval"))}},
		"TurnFirst":       {places: places{waits(closed("turn"), closed("approval"))}},
		"Git":             {places: places{waits(closed("git"))}},
		"GoesIn":          {places: places{waits(open("approval"))}},
		"NotLookedAt":     {places: places{waits()}},
		"New":             {},
		"OneRuns":         {places: places{in(v1alpha1.StageRunning), waits(closed("approval"))}},
		"OneIsVerified":   {places: places{waits(closed("approval")), in(v1alpha1.StageVerifying)}},
		"OneWaitsItsTurn": {places: places{waits(closed("approval")), waits(closed("group"))}},
		"JustApproved":    {places: places{waits(closed("approval"))}, actions: 1},
		"OneMoreApproval": {places: places{waits(closed("approval"))}, actions: 1, handled: 1, want: true},
		"Done":            {places: places{in(v1alpha1.StageDone)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := &v1alpha1.Release{}
			r.Spec.Actions = make([]v1alpha1.ReleaseAction, tc.actions)
			r.Status.HandledActions = int32(tc.handled)
			r.Status.Environments = tc.places
			if got := standsBeforePerson(r); got != tc.want {
				t.Errorf("it stands before a person: %v, want %v", got, tc.want)
			}
		})
	}
}

// TestRanIn finds where a step ran, and says which there are for one that did not.
func TestRanIn(t *testing.T) {
	s := shopSnapshot()
	r := waitingRelease("checkout", 7)
	_, err := s.ranIn(&r, "migrate")
	if want := "checkout.shop.ccccccc.7 has run no step so far; for the log of an earlier try say in which environment with -e"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	r.Status.Environments[0].Steps = []v1alpha1.StepStatus{{Name: "migrate"}, {Name: "smoke"}}
	r.Status.Environments[1].Steps = []v1alpha1.StepStatus{{Name: "migrate"}, {Name: "public"}}
	for step, want := range map[string]string{"migrate": "develop", "smoke": "develop", "public": "production"} {
		if env, err := s.ranIn(&r, step); err != nil || env != want {
			t.Errorf("%s ran in %q (%v), want %s", step, env, err, want)
		}
	}
	_, err = s.ranIn(&r, "migrat")
	want := "checkout.shop.ccccccc.7 has run no step migrat, only migrate in develop, smoke in develop, migrate in production and public in production; " +
		"for the log of an earlier try say in which environment with -e"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
