package tracker

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/registry"
)

// tracks is a service that tracks images, given as lines of YAML.
func tracks(images string) string {
	return "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nimages:\n" + images
}

func image1(h *hub, name, track, update string) string {
	text := "- name: " + name + "\n  repository: " + h.host + "/shop/" + name + "\n  track: " + track + "\n"
	if update != "" {
		text += "  update: " + update + "\n"
	}
	return text
}

func kustomization(name, tag string) string {
	return "images:\n- name: " + name + "\n  newTag: " + tag + "\n"
}

// TestFollow has three services track two repositories. Each repository is asked once, a commit is made for each
// service, and where images are promoted by commit, only the first environment is written.
func TestFollow(t *testing.T) {
	s := newStage(t, func(h *hub) files {
		h.push("shop/web", "1.0.0", 1)
		h.push("shop/web", "1.1.0", 2)
		h.push("shop/job", "main-1", 3)
		h.push("shop/job", "main-3", 1)
		h.push("shop/job", "main-2", 2)
		return files{
			"apps/web/sengu.yaml":              tracks(image1(h, "web", `{semver: ">=1.0.0"}`, "")),
			"apps/web/dev/kustomization.yaml":  kustomization("web", "1.0.0"),
			"apps/web/prod/kustomization.yaml": kustomization("web", "1.0.0"),
			"apps/api/sengu.yaml":              tracks(image1(h, "web", `{semver: 1.0.x}`, "") + image1(h, "job", "{newest: true}", "{valuesFile: values.yaml, key: job.tag}")),
			"apps/api/values.yaml":             "job: {tag: main-3} # of the night\n",
			"apps/api/dev/kustomization.yaml":  "# nothing yet\n",
			"apps/other/dev/x.yaml":            "a: b\n",
			"apps/bad/sengu.yaml":              tracks(image1(h, "web", "{semver: 1.x}", "{markedFile: x.yaml}")),
			"apps/bad/x.yaml":                  "a: b\n",
			"apps/bad/dev/x.yaml":              "a: b\n",
		}
	}, func(f *v1alpha1.FleetSpec) { f.Promote = v1alpha1.PromoteCommit })
	s.says("apps/web/dev/kustomization.yaml", "newTag: 1.1.0")
	s.says("apps/api/values.yaml", "job: {tag: main-1} # of the night")
	s.says("apps/api/dev/kustomization.yaml", "# nothing yet", "name: web", "newTag: 1.0.0")
	if got := s.git(nil, "show", "main:apps/web/prod/kustomization.yaml") + "\n"; got != kustomization("web", "1.0.0") {
		t.Errorf("prod, to which images are promoted, was written:\n%s", got)
	}
	for _, repository := range []string{"web", "job"} {
		if n := s.hub.asked(http.MethodGet, "/shop/"+repository+"/tags/list"); n != 1 {
			t.Errorf("the tags of %s were asked for %d times", repository, n)
		}
	}
	if got := s.subjects(); len(got) != 3 {
		t.Errorf("the commits are %q", got)
	}
	s.told("ImageNotFollowed", `apps/bad/x.yaml: the image web cannot be read: no value is marked with the comment "# sengu:image web"`)
	s.looks("web", func(l Look) error {
		l.At, l.Next = time.Time{}, time.Time{}
		want := Look{Service: "web", Environments: []string{"dev"}, Image: "web", Repository: s.hub.host + "/shop/web", Why: "1.1.0 runs, and is the highest version in >=1.0.0"}
		want.Place.File, want.Place.Field, want.Written.Tag = "apps/web/dev/kustomization.yaml", "image web", "1.1.0"
		if diff := cmp.Diff(want, l); diff != "" {
			return fmt.Errorf("%s", diff)
		}
		return nil
	})

	// A commit elsewhere asks no registry; nor does the time before the interval.
	s.commit(files{"apps/other/dev/x.yaml": "a: c\n"})
	s.clock.Step(4 * time.Minute)
	s.hub.push("shop/web", "1.2.0", 3)
	if n := s.hub.asked(http.MethodGet, "/tags/list"); n != 0 {
		t.Errorf("the registry was asked %d times before it was due", n)
	}
	// Exactly what is announced is looked at.
	s.r.Announced(nameOf(s.fleet), []registry.Push{{Repository: s.hub.host + "/shop/web", Tag: "1.2.0"}, {Repository: "registry.example.com/nobody", Tag: "1"}})
	s.says("apps/web/dev/kustomization.yaml", "newTag: 1.2.0")
	if web, all := s.hub.asked(http.MethodGet, "/shop/web/tags/list"), s.hub.asked(http.MethodGet, "/tags/list"); web != 1 || all != 1 {
		t.Errorf("of %d looks, %d were at what was announced", all, web)
	}
}

// TestRegistryFails has a registry ask for a pause, and be out of order: it is left alone, and nothing is written.
func TestRegistryFails(t *testing.T) {
	s := newStage(t, func(h *hub) files {
		h.push("shop/web", "1.1.0", 2)
		h.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusTooManyRequests)
		})
		return files{"apps/web/sengu.yaml": tracks(image1(h, "web", "{semver: 1.x}", "")), "apps/web/dev/kustomization.yaml": kustomization("web", "1.0.0")}
	}, func(f *v1alpha1.FleetSpec) {
		f.Images = &v1alpha1.ImageRule{Interval: metav1.Duration{Duration: 10 * time.Second}}
	})
	s.told("ImagesNotRead", "says that it was asked too often")
	failing := func(words string) func(Look) error {
		return func(l Look) error {
			if !strings.Contains(l.Problem, words) {
				return fmt.Errorf("it says %q", l.Problem)
			}
			return nil
		}
	}
	s.looks("web", failing("asked too often"))
	asked := s.hub.asked(http.MethodGet, "/v2/")
	s.clock.Step(9 * time.Minute)
	s.hub.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	if n := s.hub.asked(http.MethodGet, "/v2/"); n != asked {
		t.Errorf("the registry was asked %d times while it wanted to be left alone", n-asked)
	}
	s.clock.Step(2 * time.Minute)
	s.looks("web", failing("is out of order (502)"))
	s.hub.answer(nil)
	if got := s.subjects(); len(got) != 1 {
		t.Errorf("something was written: %q", got)
	}
	s.clock.Step(time.Hour)
	s.says("apps/web/dev/kustomization.yaml", "newTag: 1.1.0")
}

// TestMovedTag notices that a tag leads to another image: where a digest is written it is written anew, and where none
// is, that is told.
func TestMovedTag(t *testing.T) {
	var first string
	s := newStage(t, func(h *hub) files {
		first = h.push("shop/web", "1.0.0", 1)
		return files{
			"apps/web/sengu.yaml":                tracks(image1(h, "web", "{semver: 1.x}", "")),
			"apps/web/dev/kustomization.yaml":    kustomization("web", "1.0.0"),
			"apps/pinned/sengu.yaml":             tracks(image1(h, "web", "{semver: 1.x}", "")),
			"apps/pinned/dev/kustomization.yaml": kustomization("web", "1.0.0\n  digest: "+first),
			"apps/tag/sengu.yaml":                tracks(image1(h, "web", "{digest: 1.0.0}", "{markedFile: web.yaml}")),
			"apps/tag/web.yaml":                  "tag: 1.0.0 # sengu:image web:tag\n",
			"apps/tag/dev/x.yaml":                "a: b\n",
		}
	}, nil)
	s.told("ImageNotWritten", "apps/tag/web.yaml has no room for the digest of web")
	s.looks("web", func(l Look) error {
		if !strings.HasPrefix(l.Why, "1.0.0 runs") {
			return fmt.Errorf("it says %q", l.Why)
		}
		return nil
	})
	moved := s.hub.push("shop/web", "1.0.0", 2)
	s.clock.Step(6 * time.Minute)
	s.says("apps/pinned/dev/kustomization.yaml", "newTag: 1.0.0", "digest: "+moved)
	s.told("TagMoved", "apps/web/dev/kustomization.yaml says, leads to another image than before: "+short(moved)+" in the place of "+short(first))
	s.told("TagMoved", "apps/tag/web.yaml says, leads to another image") // two that differ in nothing but words
	if got := s.subjects(); len(got) != 2 || got[0] != "pinned: 1.0.0 "+short(first)+" → "+short(moved) {
		t.Errorf("the commits are %q", got)
	}
}

// TestSharedField has environments and services write into one field: once if they agree, never if they do not.
func TestSharedField(t *testing.T) {
	s := newStage(t, func(h *hub) files {
		h.push("shop/web", "1.1.0", 1)
		h.push("shop/web", "2.0.0", 1)
		const base = "{kustomization: /base/kustomization.yaml}"
		const torn = "{kustomization: /torn/kustomization.yaml}"
		return files{
			"base/kustomization.yaml": kustomization("web", "1.0.0"), "torn/kustomization.yaml": kustomization("web", "1.0.0"),
			"apps/one/sengu.yaml": tracks(image1(h, "web", "{semver: 1.x}", base)), "apps/one/dev/x.yaml": "a: b\n", "apps/one/prod/x.yaml": "a: b\n",
			"apps/two/sengu.yaml": tracks(image1(h, "web", "{semver: 1.x}", base)), "apps/two/dev/x.yaml": "a: b\n",
			"apps/three/sengu.yaml": tracks(image1(h, "web", "{semver: 1.x}", torn)), "apps/three/dev/x.yaml": "a: b\n",
			"apps/four/sengu.yaml": tracks(image1(h, "web", "{semver: 2.x}", torn)), "apps/four/dev/x.yaml": "a: b\n",
		}
	}, nil)
	s.says("base/kustomization.yaml", "newTag: 1.1.0")
	s.told("ImageNotFollowed", "apps/four/sengu.yaml:4 and apps/three/sengu.yaml:4 write into one field of torn/kustomization.yaml and follow different images")
	if got := s.subjects(); len(got) != 2 || got[0] != "one: 1.0.0 → 1.1.0" {
		t.Errorf("the commits are %q", got)
	}
	if got := s.git(nil, "show", "main:torn/kustomization.yaml") + "\n"; got != kustomization("web", "1.0.0") {
		t.Errorf("the field that two would write differently was written:\n%s", got)
	}
}

// TestQuarantine has Releases say which image failed: it is not written again, not even under another tag.
func TestQuarantine(t *testing.T) {
	s := newStage(t, func(h *hub) files {
		h.push("shop/web", "1.0.0", 1)
		return files{"apps/web/sengu.yaml": tracks(image1(h, "web", "{semver: 1.x}", "")), "apps/web/dev/kustomization.yaml": kustomization("web", "1.0.0")}
	}, nil)
	repository := s.hub.host + "/shop/web"
	s.release(1, v1alpha1.StageDone, repository+":1.0.0")
	s.release(2, v1alpha1.StageRolledBack, repository+":1.1.0")
	s.hub.push("shop/web", "1.1.0", 2)
	s.clock.Step(6 * time.Minute)
	s.looks("web", func(l Look) error {
		if l.Why != "1.0.0 runs, and is the highest version in 1.x; 1.1.0 passed over, in quarantine" {
			return fmt.Errorf("it says %q", l.Why)
		}
		return nil
	})
	s.hub.push("shop/web", "1.2.0", 3)
	s.clock.Step(6 * time.Minute)
	s.says("apps/web/dev/kustomization.yaml", "newTag: 1.2.0")
	if got := s.subjects(); len(got) != 2 {
		t.Errorf("the commits are %q", got)
	}
}

// release makes a Release of web that has come to a stage in dev.
func (s *stage) release(sequence int64, in v1alpha1.Stage, image string) {
	s.Helper()
	one := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.fleet.Namespace, Name: fmt.Sprint("web-", sequence)},
		Spec: v1alpha1.ReleaseSpec{
			Fleet: s.fleet.Name, Service: "web", Revision: strings.Repeat("a", 40), Sequence: sequence, Group: "g",
			Environments: []v1alpha1.ReleaseEnvironment{{Name: "dev", Images: []string{image}}},
		},
	}
	if err := s.Create(s.Context(), one); err != nil {
		s.Fatal(err)
	}
	one.Status.Environments = []v1alpha1.ReleaseEnvironmentStatus{{Name: "dev", Stage: in, Since: metav1.Now()}}
	if err := s.Status().Update(s.Context(), one); err != nil {
		s.Fatal(err)
	}
}

// TestOverruled has somebody write the field by hand after it was decided: the commit that was decided leaves it alone.
func TestOverruled(t *testing.T) {
	s := newStage(t, func(h *hub) files {
		h.push("shop/web", "1.1.0", 1)
		return files{"apps/web/sengu.yaml": tracks(image1(h, "web", "{semver: 1.x}", "")), "apps/web/dev/kustomization.yaml": kustomization("web", "1.0.0")}
	}, nil)
	s.looks("web", func(l Look) error {
		if l.Written.Tag != "1.1.0" {
			return fmt.Errorf("Git says %+v", l.Written)
		}
		return nil
	})
	fleet := &v1alpha1.Fleet{}
	if err := s.Get(t.Context(), nameOf(s.fleet), fleet); err != nil {
		t.Fatal(err)
	}
	decided := func(edit func(*commit)) *commit {
		st := s.r.state(nameOf(s.fleet))
		st.mu.Lock()
		defer st.mu.Unlock()
		c := &commit{service: "web"}
		for _, is := range st.slots {
			to := is.now
			to.Tag = "1.2.0"
			c.changes = append(c.changes, change{place: is.place, environments: is.environments, folder: is.folder, environment: is.environment, image: is.image, repository: is.repository, from: is.now, to: to})
		}
		edit(c)
		return c
	}
	repository, err := s.store.Repository(s.fleet.Spec.Git.URL)
	if err != nil {
		t.Fatal(err)
	}
	head, _ := repository.Head("main")
	tree, err := repository.Tree(t.Context(), head)
	if err != nil {
		t.Fatal(err)
	}
	suspended := fleet.DeepCopy()
	suspended.Generation++
	for name, tc := range map[string]struct {
		fleet *v1alpha1.Fleet
		edit  func(*commit)
		want  int
	}{
		"as it was decided":     {fleet, func(*commit) {}, 1},
		"somebody has written":  {fleet, func(c *commit) { c.changes[0].from.Tag = "1.0.0" }, 0},
		"it is not tracked now": {fleet, func(c *commit) { c.changes[0].image.Name = "gone" }, 0},
		"it tracks otherwise":   {fleet, func(c *commit) { c.changes[0].image.Track.Semver = "2.x" }, 0},
		"the Fleet has changed": {suspended, func(*commit) {}, 0},
	} {
		changed, err := s.r.edit(t.Context(), tc.fleet, decided(tc.edit), tree)
		if err != nil || len(changed) != tc.want {
			t.Errorf("%s: %d files are written: %v", name, len(changed), err)
		}
	}
}
