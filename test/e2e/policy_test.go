package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// charted renders the chart and returns its objects of some kinds.
func (s *sengu) charted(kinds ...string) []*unstructured.Unstructured {
	s.Helper()
	var complaints bytes.Buffer
	cmd := exec.Command(s.binary, "render", chartFolder, "--namespace", s.namespace, "--helm-release", "sengu")
	cmd.Stderr = &complaints
	rendered, err := cmd.Output()
	if err != nil {
		s.Fatalf("render the chart: %v: %s", err, complaints.String())
	}
	var found []*unstructured.Unstructured
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(rendered), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := documents.Decode(u); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			s.Fatalf("read the chart: %v", err)
		}
		for _, kind := range kinds {
			if u.GetKind() == kind {
				found = append(found, u)
			}
		}
	}
}

// person is a client of somebody who may write Sengu's objects, and no more than that.
func (s *sengu) person(name string, groups ...string) client.Client {
	s.Helper()
	config := rest.CopyConfig(s.home.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: append(groups, "system:authenticated")}
	c, err := client.New(config, client.Options{Scheme: s.home.Scheme()})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

// grant lets a group do verbs on resources of Sengu, of some names if there are any.
func (s *sengu) grant(group, resource string, verbs []string, names ...string) {
	s.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: group + "-" + resource},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"sengu.dev"}, Resources: []string{resource}, Verbs: verbs, ResourceNames: names}},
	}
	s.create(s.home, role)
	s.create(s.home, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: role.Namespace, Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: group}},
	})
}

// over makes a Release like one, of a Fleet that nobody looks after, which has ended while a Job of it still runs.
func (s *sengu) over(one *v1alpha1.Release) *v1alpha1.Release {
	s.Helper()
	over := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "over"}, Spec: *one.Spec.DeepCopy()}
	over.Spec.Fleet, over.Spec.Service = "elsewhere", "over"
	s.create(s.home, over)
	now := metav1.Now()
	over.Status = v1alpha1.ReleaseStatus{Stage: v1alpha1.StageFailed, Ended: &now, Environments: []v1alpha1.ReleaseEnvironmentStatus{
		{Name: "staging", Stage: v1alpha1.StageFailed, Since: now, Steps: []v1alpha1.StepStatus{{Name: "migrate", Job: "migrate", Phase: v1alpha1.StepRunning}}},
		{Name: "production", Stage: v1alpha1.StageWaiting, Since: now},
	}}
	if err := s.home.Status().Update(context.Background(), over); err != nil {
		s.Fatal(err)
	}
	return over
}

// pins has somebody pin an image and end that, honestly, and tries to end it otherwise.
func (s *sengu) pins(write func(client.Client, func(*v1alpha1.App)) error, sre client.Client, pinned func(by, tag string) func(*v1alpha1.App), refuses func(what, says string, c client.Client, change func(*v1alpha1.App))) {
	s.Helper()
	ends := func(by, tag string) func(*v1alpha1.App) {
		return func(a *v1alpha1.App) {
			a.Spec.Pin.Image, a.Spec.Pin.Ended = "registry.example.com/web:"+tag, &v1alpha1.HoldEnd{By: by, At: metav1.Now()}
		}
	}
	if err := write(sre, pinned("anna", "pr-7")); err != nil {
		s.Fatalf("an honest pin: %v", err)
	}
	refuses("a pin was taken away", "a pin is not taken away", sre, func(a *v1alpha1.App) { a.Spec.Pin = nil })
	refuses("a pin was ended as another", "by must be anna", sre, ends("ben", "pr-7"))
	refuses("a pin was ended and rewritten", "by must be anna", sre, ends("anna", "pr-8"))
	if err := write(sre, ends("anna", "pr-7")); err != nil {
		s.Fatalf("an honest end of a pin: %v", err)
	}
}

// TestPolicy forges what people do, with every right to write the objects: the chart's policies refuse it, and let
// through what is honest.
func TestPolicy(t *testing.T) {
	t.Parallel()
	s := newSengu(t, inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "production" {
			e.Approval = &v1alpha1.ApprovalRule{Required: 1, Groups: []string{"sre"}}
		}
	}, "staging", "production"))
	s.synced(s.repo.commit(judged("web", "one", "staging", "production")), 2)
	second := s.repo.commit(judged("web", "two", "staging", "production"))
	s.waitsBefore("web", second, "production", "approval")
	for _, group := range []string{"sre", "dev"} {
		s.grant(group, "releases", []string{"get", "update", "patch", "create", "delete"})
		s.grant(group, "apps", []string{"get", "update", "patch", "create", "delete"})
	}
	s.grant("sre", "environments", []string{"approve", "hold", "resume", "rollback", "pin"}, "production."+fleetName)
	over := s.over(s.release("web", second))
	for _, u := range s.charted("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding") {
		s.create(s.home, u)
		t.Cleanup(func() { _ = s.home.Delete(context.Background(), u) })
	}
	sre, dev := s.person("anna", "sre"), s.person("ben", "dev")

	// Sengu writes to these objects too: whoever is too late reads anew, as every client does.
	release := func(c client.Client, change func(*v1alpha1.Release)) error {
		return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			r := s.release("web", second)
			change(r)
			return c.Update(t.Context(), r)
		})
	}
	approve := func(by, env string, groups ...string) func(*v1alpha1.Release) {
		return func(r *v1alpha1.Release) {
			r.Spec.Actions = append(r.Spec.Actions, v1alpha1.ReleaseAction{Verb: v1alpha1.VerbApprove, Environment: env, By: by, Groups: groups, At: metav1.Now()})
		}
	}
	hold := func(c client.Client, change func(*v1alpha1.App)) error {
		return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			a := s.app("web", "production")
			change(a)
			return c.Update(t.Context(), a)
		})
	}
	held := func(h *v1alpha1.Hold) func(*v1alpha1.App) { return func(a *v1alpha1.App) { a.Spec.Hold = h } }
	now := metav1.Now()
	s.eventually("the policies are in force", func() error {
		a := s.app("web", "production")
		a.Spec.Digest = "x"
		if sre.Delete(t.Context(), s.release("web", second), client.DryRunAll) == nil || sre.Update(t.Context(), a, client.DryRunAll) == nil {
			return errors.New("they are not")
		}
		return nil
	})
	pinned := func(by, tag string) func(*v1alpha1.App) {
		return func(a *v1alpha1.App) {
			a.Spec.Pin = &v1alpha1.Pin{By: by, At: now, Until: metav1.NewTime(now.Add(time.Hour)), Image: "registry.example.com/web:" + tag}
		}
	}
	type refusal struct {
		try  func() error
		says string
	}
	refusals := map[string]refusal{
		"AnothersName":     {func() error { return release(dev, approve("anna", "production", "sre")) }, "by must be ben"},
		"AnothersGroup":    {func() error { return release(sre, approve("anna", "production", "sre", "board")) }, "one that you are not in"},
		"NoVerb":           {func() error { return release(dev, approve("ben", "production")) }, "you may not approve environments.sengu.dev/production." + fleetName},
		"OtherEnvironment": {func() error { return release(sre, approve("anna", "staging", "sre")) }, "you may not approve environments.sengu.dev/staging." + fleetName},
		"TwoAtOnce": {func() error {
			return release(sre, func(r *v1alpha1.Release) { approve("anna", "production")(r); approve("anna", "production")(r) })
		}, "one action at a time"},
		"StepMade": {func() error {
			return release(sre, func(r *v1alpha1.Release) {
				r.Spec.Steps = append(r.Spec.Steps, v1alpha1.ReleaseStep{Environment: "production", Revision: second})
			})
		}, "is noted by Sengu"},
		"ReleaseMade": {func() error {
			r := s.release("web", second).DeepCopy()
			r.ObjectMeta = metav1.ObjectMeta{Namespace: s.namespace, Name: "forged"}
			return sre.Create(t.Context(), r)
		}, "made by Sengu"},
		"ReleaseDeleted": {func() error { return sre.Delete(t.Context(), s.release("web", second)) }, "has not ended"},
		"ReleaseAtWork":  {func() error { return sre.Delete(t.Context(), over) }, "a Job still runs"},
		"Moved": {func() error {
			return hold(sre, func(a *v1alpha1.App) { a.Spec.Source.Revision = second })
		}, "for its Releases to say"},
		"Unlocked":        {func() error { return hold(sre, func(a *v1alpha1.App) { a.Spec.Digest = "x" }) }, "for its Releases to say"},
		"HeldAsAnother":   {func() error { return hold(sre, held(&v1alpha1.Hold{By: "ben", At: now})) }, "by must be anna"},
		"HeldAsSengu":     {func() error { return hold(sre, held(&v1alpha1.Hold{At: now, Release: "x"})) }, "by must be anna"},
		"HeldWithoutVerb": {func() error { return hold(dev, held(&v1alpha1.Hold{By: "ben", At: now})) }, "you may not hold"},
		"BackWithoutVerb": {func() error { return hold(dev, held(&v1alpha1.Hold{By: "ben", At: now, RollbackTo: "x"})) }, "you may not rollback"},
		"CommitRewritten": {func() error {
			return release(sre, func(r *v1alpha1.Release) { r.Spec.Commit.Author = "Somebody <else@example.com>" })
		}, "a Release is what it was made for"},
		"ReleaseOwned": {func() error {
			return release(sre, func(r *v1alpha1.Release) {
				r.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "none", UID: "none"}}
			})
		}, "are not for people to change"},
		"AppOwned":       {func() error { return hold(sre, func(a *v1alpha1.App) { a.Finalizers = []string{"example.com/keep"} }) }, "are not for people to change"},
		"AnotherAccount": {func() error { return hold(sre, func(a *v1alpha1.App) { a.Spec.ServiceAccountName = "admin" }) }, "what its Fleet says"},
		"LeftAsItIs":     {func() error { return hold(sre, func(a *v1alpha1.App) { a.Spec.SelfHeal = new(false) }) }, "what its Fleet says"},
		"Suspended":      {func() error { return hold(dev, func(a *v1alpha1.App) { a.Spec.Suspend = true }) }, "you may not hold"},
		"Confirmed": {func() error {
			return hold(dev, func(a *v1alpha1.App) { a.Annotations = map[string]string{manifest.AnnotationConfirm: "token"} })
		}, "you may not approve environments.sengu.dev/production." + fleetName},
		"PinnedWithoutVerb": {func() error { return hold(dev, pinned("ben", "pr-7")) }, "you may not pin"},
		"PinnedAsAnother":   {func() error { return hold(sre, pinned("ben", "pr-7")) }, "by must be anna"},
		"AbortedWithoutVerb": {func() error {
			return release(sre, func(r *v1alpha1.Release) {
				r.Spec.Actions = append(r.Spec.Actions, v1alpha1.ReleaseAction{Verb: v1alpha1.VerbAbort, Environment: "production", By: "anna", At: metav1.Now()})
			})
		}, "you may not abort environments.sengu.dev/production." + fleetName},
		"ReleaseKept": {func() error {
			return release(sre, func(r *v1alpha1.Release) { r.Finalizers = []string{"example.com/keep"} })
		}, "are not for people to change"},
		"AppOwnedByAnother": {func() error {
			return hold(sre, func(a *v1alpha1.App) {
				a.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "none", UID: "none"}}
			})
		}, "are not for people to change"},
		"AppMade": {func() error {
			a := s.app("web", "production").DeepCopy()
			a.ObjectMeta = metav1.ObjectMeta{Namespace: s.namespace, Name: "web.forged." + fleetName}
			return sre.Create(t.Context(), a)
		}, "made by Sengu"},
	}
	// What Sengu notes in a hold, and what an App runs, by each of their fields.
	for name, h := range map[string]v1alpha1.Hold{
		"Release": {Release: "x"}, "Own": {Own: "x"}, "Images": {Images: []string{"x"}}, "Refused": {Refused: "x"}, "Ended": {Ended: &v1alpha1.HoldEnd{By: "anna", At: now}},
	} {
		h.By, h.At = "anna", now
		refusals["HoldNotes"+name] = refusal{func() error { return hold(sre, held(&h)) }, "by must be anna"}
	}
	for name, change := range map[string]func(*v1alpha1.AppSpec){
		"Removal": func(a *v1alpha1.AppSpec) { a.Removal = v1alpha1.RemovalApproved }, "Release": func(a *v1alpha1.AppSpec) { a.Release = "x" },
		"LastGood": func(a *v1alpha1.AppSpec) { a.LastGood = &v1alpha1.GoodSource{Source: a.Source, Release: "x"} },
		"Path":     func(a *v1alpha1.AppSpec) { a.Source.Path = "apps/web/overlays/staging" },
		"Fleet":    func(a *v1alpha1.AppSpec) { a.Fleet = "another" },
		"Service":  func(a *v1alpha1.AppSpec) { a.Service, a.Environment, a.ServiceAccountName = "", "", "x" },
	} {
		refusals["App"+name] = refusal{func() error { return hold(sre, func(a *v1alpha1.App) { change(&a.Spec) }) }, "for its Releases to say"}
	}
	for name, r := range refusals {
		s.eventually("what is forged is refused: "+name, func() error {
			err := r.try()
			if err == nil {
				t.Fatalf("%s was let through", name)
			}
			if !strings.Contains(err.Error(), r.says) {
				return fmt.Errorf("it says %q, not %q", err.Error(), r.says)
			}
			return nil
		})
	}

	over.Status.Environments[0].Steps[0].Phase = v1alpha1.StepSucceeded
	if err := s.home.Status().Update(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	if err := sre.Delete(t.Context(), over); err != nil {
		t.Fatalf("a Release that is over and its Jobs too: %v", err)
	}
	if err := hold(sre, func(a *v1alpha1.App) {
		a.Spec.Suspend, a.Annotations = true, map[string]string{manifest.AnnotationConfirm: "token", "example.com/note": "seen"}
	}); err != nil {
		t.Fatalf("an honest suspension and confirmation: %v", err)
	}
	refuses := func(what, says string, c client.Client, change func(*v1alpha1.App)) {
		t.Helper()
		if err := hold(c, change); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: it says %v, not %q", what, err, says)
		}
	}
	refuses("whoever may not resume ended a suspension", "you may not resume", dev, func(a *v1alpha1.App) { a.Spec.Suspend = false })
	if err := hold(sre, func(a *v1alpha1.App) { a.Spec.Suspend = false }); err != nil {
		t.Fatalf("an honest end of a suspension: %v", err)
	}
	if err := hold(sre, held(&v1alpha1.Hold{By: "anna", At: now, Reason: "sale"})); err != nil {
		t.Fatalf("an honest hold: %v", err)
	}
	s.waitsBefore("web", second, "production", "hold")
	ends := func(by, reason string) func(*v1alpha1.App) {
		return func(a *v1alpha1.App) {
			a.Spec.Hold.Ended, a.Spec.Hold.Reason = &v1alpha1.HoldEnd{By: by, At: now}, reason
		}
	}
	refuses("whoever may not resume ended a hold", "you may not resume", dev, ends("ben", "sale"))
	refuses("a hold was ended as another", "by must be anna", sre, ends("ben", "sale"))
	refuses("a hold was ended and rewritten", "by must be anna", sre, ends("anna", "another"))
	refuses("a hold was taken away", "a hold is not taken away", sre, held(nil))
	s.pins(hold, sre, pinned, refuses)
	if err := hold(sre, func(a *v1alpha1.App) { a.Spec.Hold.Ended = &v1alpha1.HoldEnd{By: "anna", At: now} }); err != nil {
		t.Fatalf("an honest end of a hold: %v", err)
	}
	if err := release(sre, approve("anna", "production", "sre")); err != nil {
		t.Fatalf("an honest approval: %v", err)
	}
	s.becomes("web", second, "production", v1alpha1.StageDone)
}
