package release

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// noon is when the tests begin.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func fleetOf(envs ...v1alpha1.Environment) *v1alpha1.Fleet {
	return &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.FleetSpec{Environments: envs}}
}

// scene is a service whose story a test tells, one thing after the other.
type scene struct {
	t *testing.T
	Service
	// last is the last decision.
	last Decision
	// crash counts down the writes until one after which all that was decided is forgotten. It goes on below zero.
	crash int
}

func sceneOf(t *testing.T, envs ...v1alpha1.Environment) *scene {
	t.Helper()
	return &scene{t: t, Service: Service{
		Now: noon, Fleet: fleetOf(envs...), Name: "web", Apps: map[string]*v1alpha1.App{}, Plans: map[Place]Plan{}, Jobs: map[StepKey]JobState{},
		Looks: map[StepKey]Look{}, Windows: map[string]Window{}, Peers: map[Peer]Peers{},
	}}
}

// commit makes the Release of a commit that changes the service itself in every environment.
func (s *scene) commit(name string, plan Plan) *v1alpha1.Release {
	s.t.Helper()
	n := int64(len(s.Releases) + 1)
	r := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ReleaseSpec{Revision: "rev-" + name, Sequence: n, Group: name}}
	for _, env := range s.Fleet.Spec.Environments {
		r.Spec.Environments = append(r.Spec.Environments, v1alpha1.ReleaseEnvironment{Name: env.Name, Path: "web", Digest: name, Own: name})
		s.Plans[Place{name, env.Name}] = plan
	}
	s.Releases = append(s.Releases, r)
	return r
}

// settle decides and writes until nothing is left to do.
func (s *scene) settle() {
	s.t.Helper()
	for range 10 {
		s.last = Next(s.Service)
		s.Looks = map[StepKey]Look{}
		if len(s.last.Moves)+len(s.last.Statuses) == 0 {
			return
		}
		s.carryOut()
	}
	s.t.Fatal("there is always something left to do")
}

// carryOut writes the last decision, Apps first.
func (s *scene) carryOut() {
	crashes := func() bool { s.crash--; return s.crash == 0 }
	for env := range s.last.Moves {
		if s.write(env, s.last.Moves[env]); crashes() {
			return
		}
	}
	for i, r := range s.Releases {
		if st, ok := s.last.Statuses[r.Name]; ok {
			s.Releases[i] = r.DeepCopy()
			if s.Releases[i].Status = st; crashes() {
				return
			}
		}
	}
}

func (s *scene) write(env string, m Move) {
	app := s.Apps[env].DeepCopy()
	if app == nil {
		app = &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: env}}
	}
	app.Spec.Source, app.Spec.Digest, app.Spec.Release = m.Source, m.Digest, m.Release
	app.Spec.LastGood, app.Spec.Hold, app.Spec.Removal = m.LastGood, m.Hold, m.Removal
	app.Generation++
	s.Apps[env] = app
}

// becomes has the App of an environment settle with that health, and decides.
func (s *scene) becomes(env string, health v1alpha1.HealthStatus) {
	s.t.Helper()
	app := s.Apps[env].DeepCopy()
	app.Status = v1alpha1.AppStatus{
		ObservedGeneration: app.Generation, Revision: app.Spec.Source.Revision, Digest: app.Spec.Digest, Sync: v1alpha1.Synced, Health: health,
		Why: &v1alpha1.Why{Message: "it is " + string(health)},
	}
	s.Apps[env] = app
	s.settle()
}

// passes brings a Release through an environment.
func (s *scene) passes(name string, envs ...string) {
	s.t.Helper()
	s.settle()
	for _, env := range envs {
		s.becomes(env, v1alpha1.Healthy)
		s.wants(name, env, v1alpha1.StageDone)
	}
}

// fails has a Release that was brought to an environment fail there.
func (s *scene) fails(name, env string) {
	s.t.Helper()
	s.settle()
	s.becomes(env, v1alpha1.Degraded)
	s.wants(name, env, v1alpha1.StageFailed)
}

// job ends a Job.
func (s *scene) job(release, env, step string, phase v1alpha1.StepPhase) {
	s.t.Helper()
	s.Jobs[StepKey{Release: release, Environment: env, Step: step}] = JobState{Phase: phase, Job: step, Started: s.Now}
	s.settle()
}

// holds has a person hold an environment, or go back.
func (s *scene) holds(env, to string) {
	s.t.Helper()
	s.holdsUnseen(env, to)
	s.settle()
}

func (s *scene) holdsUnseen(env, to string) {
	s.pass(time.Second)
	s.write(env, moveOf(s.Apps[env]))
	s.Apps[env].Spec.Hold = &v1alpha1.Hold{By: "operator", At: metav1.NewTime(s.Now), RollbackTo: to}
}

// resumes has a person end a hold.
func (s *scene) resumes(env string) {
	s.t.Helper()
	s.end(env)
	s.settle()
}

func (s *scene) end(env string) {
	s.pass(time.Second)
	s.write(env, moveOf(s.Apps[env]))
	s.Apps[env].Spec.Hold = s.Apps[env].Spec.Hold.DeepCopy()
	s.Apps[env].Spec.Hold.Ended = &v1alpha1.HoldEnd{By: "operator", At: metav1.NewTime(s.Now)}
}

func moveOf(app *v1alpha1.App) Move {
	return Move{
		Source: app.Spec.Source, Digest: app.Spec.Digest, Release: app.Spec.Release, LastGood: app.Spec.LastGood, Hold: app.Spec.Hold, Removal: app.Spec.Removal,
	}
}

// acts has a person act on a Release.
func (s *scene) acts(name, env string, verb v1alpha1.Verb, skips bool) {
	s.t.Helper()
	s.pass(time.Second)
	i := slices.IndexFunc(s.Releases, func(r *v1alpha1.Release) bool { return r.Name == name })
	s.Releases[i] = s.Releases[i].DeepCopy()
	s.Releases[i].Spec.Actions = append(s.Releases[i].Spec.Actions, v1alpha1.ReleaseAction{
		Verb: verb, Environment: env, By: "operator", At: metav1.NewTime(s.Now), SkipGates: skips,
	})
	s.settle()
}

func (s *scene) pass(d time.Duration) { s.Now = s.Now.Add(d) }

func (s *scene) at(name, env string) v1alpha1.ReleaseEnvironmentStatus {
	s.t.Helper()
	for _, r := range s.Releases {
		if r.Name == name {
			if at := environmentOf(&r.Status, env); at != nil {
				return *at
			}
		}
	}
	s.t.Fatalf("%s is nowhere in %s", name, env)
	return v1alpha1.ReleaseEnvironmentStatus{}
}

// wants says how far a Release has to be in an environment, and what it has to say.
func (s *scene) wants(name, env string, stage v1alpha1.Stage, words ...string) {
	s.t.Helper()
	at, why := s.at(name, env), ""
	if at.Why != nil {
		why = at.Why.Message
	}
	if at.Stage != stage {
		s.t.Fatalf("%s is %s in %s (%s), want %s", name, at.Stage, env, why, stage)
	}
	for _, word := range words {
		if !strings.Contains(why, word) {
			s.t.Errorf("%s says %q in %s, and nothing of %q", name, why, env, word)
		}
	}
}

// runs says which Release an environment has to be brought to.
func (s *scene) runs(env, name string) {
	s.t.Helper()
	if app := s.Apps[env]; app == nil || app.Spec.Release != name || app.Spec.Source.Revision != "rev-"+name {
		s.t.Fatalf("%s runs %+v, want %s", env, app, name)
	}
}

func TestNewReleaseEntersTheFirstEnvironmentAndWaitsForTheSecond(t *testing.T) {
	s := sceneOf(t, v1alpha1.Environment{Name: "dev"}, v1alpha1.Environment{Name: "prod", After: []string{"dev"}})
	s.commit("r1", Plan{})
	d := Next(s.Service)
	move, ok := d.Moves["dev"]
	if !ok || !move.Create || move.Release != "r1" || move.Digest != "r1" {
		t.Errorf("dev is not brought to the Release: %+v", d.Moves)
	}
	if _, early := d.Moves["prod"]; early {
		t.Errorf("prod is brought to the Release before dev has passed")
	}
	s.settle()
	s.wants("r1", "dev", v1alpha1.StageRunning)
	s.wants("r1", "prod", v1alpha1.StageWaiting, "dev comes first")
}

func TestSkippingTheGates(t *testing.T) {
	envs := []v1alpha1.Environment{{Name: "dev"}, {Name: "prod", After: []string{"dev"}, Approval: &v1alpha1.ApprovalRule{Required: 1}}}
	tests := map[string]struct {
		// plan is that of the Release that is at work in prod.
		plan  Plan
		story func(*scene)
		stage v1alpha1.Stage
		words string
	}{
		"PastTheEnvironmentsBefore": {Plan{}, func(*scene) {}, v1alpha1.StageRunning, ""},
		"PastOneThatIsOnItsWay":     {Plan{}, func(s *scene) { s.acts("r2", "prod", v1alpha1.VerbPromote, true) }, v1alpha1.StageRunning, ""},
		"PastOneThatIsVerified": {Plan{Checks: []Check{{Name: "latency", Interval: time.Minute, Successes: 9}}}, func(s *scene) {
			s.acts("r2", "prod", v1alpha1.VerbPromote, true)
			s.becomes("prod", v1alpha1.Healthy)
			s.wants("r2", "prod", v1alpha1.StageVerifying)
		}, v1alpha1.StageRunning, ""},
		"NotPastAJob": {Plan{Before: []string{"migrate"}}, func(s *scene) {
			s.acts("r2", "prod", v1alpha1.VerbPromote, true)
			s.job("r2", "prod", "migrate", v1alpha1.StepRunning)
		}, v1alpha1.StageWaiting, "Job migrate of r2 is running"},
		"NotPastAPersonsHold":   {Plan{}, func(s *scene) { s.holds("prod", "") }, v1alpha1.StageWaiting, "operator holds prod"},
		"PastTheHoldOfAFailure": {Plan{}, func(s *scene) { s.acts("r2", "prod", v1alpha1.VerbPromote, true); s.fails("r2", "prod") }, v1alpha1.StageRunning, ""},
		"NotWithoutAPlan":       {Plan{}, func(s *scene) { s.Plans[Place{"r3", "prod"}] = Plan{Problem: "sengu.yaml cannot be read"} }, v1alpha1.StageWaiting, "sengu.yaml cannot be read"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := sceneOf(t, envs...)
			s.commit("r1", Plan{})
			s.acts("r1", "prod", v1alpha1.VerbApprove, false)
			s.passes("r1", "dev", "prod")
			s.commit("r2", tt.plan)
			s.commit("r3", Plan{})
			tt.story(s)
			s.acts("r3", "prod", v1alpha1.VerbPromote, true)
			s.wants("r3", "prod", tt.stage, tt.words)
			if tt.stage == v1alpha1.StageRunning {
				s.runs("prod", "r3")
				if at := s.at("r2", "prod"); working(at.Stage) {
					t.Errorf("r2 is %s there as well", at.Stage)
				}
			}
		})
	}
}

// TestTime says what a Release that is at work becomes as time passes, and when the next look is due.
func TestTime(t *testing.T) {
	soaks := v1alpha1.Environment{Name: "prod", Soak: &metav1.Duration{Duration: 10 * time.Minute}}
	tests := map[string]struct {
		plan   Plan
		health v1alpha1.HealthStatus
		newer  bool
		// down is how long after the App has settled Sengu was back.
		down time.Duration
		// look is when it is decided again, and stage what r1 becomes then.
		look  time.Duration
		stage v1alpha1.Stage
	}{
		"Degraded":            {Plan{FailAfter: 5 * time.Minute, Deadline: time.Hour}, v1alpha1.Degraded, false, 0, 5 * time.Minute, v1alpha1.StageFailed},
		"DegradedWhileDown":   {Plan{FailAfter: 5 * time.Minute, Deadline: time.Hour}, v1alpha1.Degraded, false, time.Hour, time.Hour + 5*time.Minute, v1alpha1.StageFailed},
		"Progressing":         {Plan{FailAfter: 5 * time.Minute, Deadline: time.Hour}, v1alpha1.Progressing, false, 0, time.Hour, v1alpha1.StageFailed},
		"ProgressingAndNewer": {Plan{FailAfter: 5 * time.Minute, Deadline: time.Hour}, v1alpha1.Progressing, true, 0, 5 * time.Minute, v1alpha1.StageSuperseded},
		"ImpatientAndNewer":   {Plan{Deadline: time.Hour}, v1alpha1.Progressing, true, 0, time.Minute, v1alpha1.StageSuperseded},
		"DegradedAndNewer":    {Plan{FailAfter: 5 * time.Minute, Deadline: time.Hour}, v1alpha1.Degraded, true, 0, 0, v1alpha1.StageSuperseded},
		"Soaks":               {Plan{}, v1alpha1.Healthy, false, 0, 10 * time.Minute, v1alpha1.StageDone},
		"SoaksAndNewer":       {Plan{}, v1alpha1.Healthy, true, 0, 10 * time.Minute, v1alpha1.StageDone},
		"SoaksWhileDown":      {Plan{}, v1alpha1.Healthy, false, time.Hour, time.Hour + leastPatience, v1alpha1.StageDone},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := sceneOf(t, soaks)
			s.commit("r1", tt.plan)
			s.settle()
			if tt.newer {
				s.commit("r2", Plan{})
			}
			s.becomes("prod", tt.health)
			if tt.down > 0 {
				s.Now = noon.Add(tt.down)
				s.Watched = map[string]time.Time{"prod": s.Now}
				s.settle()
			}
			if tt.look > 0 {
				if want := noon.Add(tt.look); !s.last.Look.Equal(want) {
					t.Fatalf("it is looked at again at %s, want %s", s.last.Look, want)
				}
				s.Now = s.last.Look.Add(-time.Second)
				s.settle()
				if at := s.at("r1", "prod"); !working(at.Stage) {
					t.Fatalf("r1 is %s a second before", at.Stage)
				}
				s.pass(time.Second)
				s.settle()
			}
			s.wants("r1", "prod", tt.stage)
		})
	}
}

// TestShortSoak says what a start of Sengu adds to a soak: a minute to one that began before, nothing to one after it.
func TestShortSoak(t *testing.T) {
	for name, tt := range map[string]struct{ started, ends time.Duration }{
		"BegunAfterTheStart":  {-time.Second, 10 * time.Second},
		"BegunWithTheStart":   {0, 10 * time.Second},
		"BegunBeforeTheStart": {time.Second, time.Second + leastPatience},
	} {
		t.Run(name, func(t *testing.T) {
			s := sceneOf(t, v1alpha1.Environment{Name: "prod", Soak: &metav1.Duration{Duration: 10 * time.Second}})
			s.Watched = map[string]time.Time{"prod": noon.Add(tt.started)}
			s.commit("r1", Plan{})
			s.settle()
			s.becomes("prod", v1alpha1.Healthy)
			if want := noon.Add(tt.ends); !s.last.Look.Equal(want) {
				t.Fatalf("it is looked at again at %s, want %s", s.last.Look, want)
			}
			s.pass(tt.ends - time.Second)
			s.settle()
			s.wants("r1", "prod", v1alpha1.StageVerifying)
			s.pass(time.Second)
			s.settle()
			s.wants("r1", "prod", v1alpha1.StageDone)
		})
	}
}

// TestUnmade has a person end a Release whose Job cannot be made: only one that there may be holds that up.
func TestUnmade(t *testing.T) {
	for name, tt := range map[string]struct {
		state JobState
		stage v1alpha1.Stage
		words string
	}{
		"Nowhere":  {JobState{Phase: v1alpha1.StepRunning, Unmade: true, Message: "the repository is not there"}, v1alpha1.StageFailed, "operator aborted it"},
		"Perhaps":  {JobState{Phase: v1alpha1.StepRunning, Message: "the cluster does not answer"}, v1alpha1.StageRunning, "waits for Job migrate"},
		"Recorded": {JobState{Phase: v1alpha1.StepRunning, Job: "migrate", UID: "u"}, v1alpha1.StageRunning, "waits for Job migrate"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sceneOf(t, v1alpha1.Environment{Name: "prod"})
			s.commit("r1", Plan{Before: []string{"migrate"}})
			s.settle()
			s.Jobs[StepKey{Release: "r1", Environment: "prod", Step: "migrate"}] = tt.state
			s.settle()
			s.wants("r1", "prod", v1alpha1.StageRunning, map[bool]string{true: "Job migrate could not be made yet", false: "Job migrate runs"}[tt.state.Unmade]+after(tt.state.Message))
			s.acts("r1", "prod", v1alpha1.VerbAbort, false)
			s.wants("r1", "prod", tt.stage, tt.words)
		})
	}
}

// TestUnmadeWhileHeld has a person hold an environment before the Job of a Release could be made: it waits for the person.
func TestUnmadeWhileHeld(t *testing.T) {
	s := sceneOf(t, v1alpha1.Environment{Name: "prod"})
	s.commit("r0", Plan{})
	s.passes("r0", "prod")
	s.commit("r1", Plan{Before: []string{"migrate"}})
	s.settle()
	s.Jobs[StepKey{Release: "r1", Environment: "prod", Step: "migrate"}] = JobState{Phase: v1alpha1.StepRunning, Unmade: true, Message: "exceeded quota"}
	s.settle()
	s.wants("r1", "prod", v1alpha1.StageRunning, "Job migrate could not be made yet: exceeded quota")
	s.holds("prod", "")
	s.wants("r1", "prod", v1alpha1.StageRunning, "operator holds prod")
	s.resumes("prod")
	s.wants("r1", "prod", v1alpha1.StageRunning, "Job migrate could not be made yet: exceeded quota")
}
