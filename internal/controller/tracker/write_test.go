package tracker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/image"
)

// TestMendedFile mends a file that had no room for a digest, and leaves the tag that it says: it is written then.
func TestMendedFile(t *testing.T) {
	var digest string
	s := newStage(t, func(h *hub) files {
		digest = h.push("shop/web", "1.0.0", 1)
		return files{
			"apps/web/sengu.yaml": tracks(image1(h, "web", "{digest: 1.0.0}", "{markedFile: web.yaml}")),
			"apps/web/web.yaml":   "tag: 1.0.0 # sengu:image web:tag\n",
			"apps/web/dev/x.yaml": "a: b\n",
		}
	}, nil)
	s.told("ImageNotWritten", "apps/web/web.yaml has no room for the digest of web")
	s.looks("web", func(l Look) error {
		if !strings.Contains(l.Problem, "has no room") {
			return fmt.Errorf("the problem is %q", l.Problem)
		}
		return nil
	})
	s.commit(files{"apps/web/web.yaml": "image: " + s.hub.host + "/shop/web:1.0.0 # sengu:image web\n"})
	s.clock.Step(breath) // after a push that had nothing to change
	s.says("apps/web/web.yaml", "/shop/web:1.0.0@"+digest)
}

// TestLocalTrouble has the disk of Sengu fail for a while: no image is refused for it, and all are written afterwards.
func TestLocalTrouble(t *testing.T) {
	s := newStage(t, func(h *hub) files {
		h.push("shop/web", "1.0.0", 1)
		content := files{}
		for _, service := range []string{"web", "other"} {
			content["apps/"+service+"/sengu.yaml"] = tracks(image1(h, "web", "{semver: 1.x}", ""))
			content["apps/"+service+"/dev/kustomization.yaml"] = kustomization("web", "1.0.0")
		}
		return content
	}, nil)
	s.looks("web", func(l Look) error {
		if l.At.IsZero() {
			return errors.New("nothing is known yet")
		}
		return nil
	})
	tmp := filepath.Join(s.dir, "tmp")
	if err := errors.Join(os.RemoveAll(tmp), os.WriteFile(tmp, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s.hub.push("shop/web", "1.1.0", 2)
	s.clock.Step(6 * time.Minute)
	s.told("ImagesNotWritten", "stage commits")
	for _, service := range []string{"web", "other"} {
		s.looks(service, func(l Look) error {
			if l.Wanted.Tag != "1.1.0" || l.Problem != "" {
				return fmt.Errorf("wanted is %q, and the problem %q", l.Wanted.Tag, l.Problem)
			}
			return nil
		})
	}
	if err := errors.Join(os.Remove(tmp), os.Mkdir(tmp, 0o700)); err != nil {
		t.Fatal(err)
	}
	s.clock.Step(time.Minute)
	s.says("apps/web/dev/kustomization.yaml", "newTag: 1.1.0")
	s.says("apps/other/dev/kustomization.yaml", "newTag: 1.1.0")
}

// TestRefusedOnce takes in what an edit refused: it is not tried again until the files are read anew, and a refusal of what
// they said before comes too late.
func TestRefusedOnce(t *testing.T) {
	s := newStage(t, func(*hub) files { return files{"apps/web/dev/x.yaml": "a: b\n"} }, nil)
	st, fleet, place := newState(), &v1alpha1.Fleet{}, scribe.Place{File: "a"}
	fleet.Namespace, fleet.Name = s.fleet.Namespace, s.fleet.Name
	read := func() {
		st.merge(map[string]reading{"shop": {wants: []want{{
			service: "shop", environment: "dev", place: place, now: image.Reference{Tag: "1"},
			image: delivery.Image{Name: "web", Repository: "r.example.com/web", Track: delivery.Track{Newest: true}},
		}}}})
	}
	read()
	st.slots[place].chosen, st.slots[place].dirty = &image.Reference{Tag: "2"}, false
	refused := func() []*commit {
		commits := st.commits()
		if len(commits) != 1 {
			t.Fatalf("%d commits are to be made", len(commits))
		}
		commits[0].problems[place] = "it has no room"
		return commits
	}
	s.r.wrote(fleet, st, []wrote{{commits: refused(), hashes: []string{""}}})
	if n := len(st.commits()); n != 0 {
		t.Errorf("%d commits are made of what was refused", n)
	}
	st.slots[place].chosen = &image.Reference{Tag: "3"}
	if n := len(st.commits()); n != 1 {
		t.Errorf("%d commits are made of another image than was refused", n)
	}
	st.slots[place].chosen = &image.Reference{Tag: "2"}
	read()
	late := refused()
	read()
	s.r.wrote(fleet, st, []wrote{{commits: late, hashes: []string{""}}})
	refused()
}

// TestWroteSome takes in a push of which one commit could not be made: the next try comes soon, and each time later only
// while nothing is written at all.
func TestWroteSome(t *testing.T) {
	s := newStage(t, func(*hub) files { return files{"apps/web/dev/x.yaml": "a: b\n"} }, nil)
	st, wrong := newState(), errors.New("no space left")
	push := func(hashes ...string) time.Duration {
		st.writing = true
		now := s.clock.Now()
		s.r.wrote(s.fleet, st, []wrote{{commits: []*commit{{service: "a"}, {service: "b"}}, hashes: hashes, err: wrong}})
		if st.writing {
			t.Error("it is still being written")
		}
		return st.writeAfter.Sub(now)
	}
	for range 5 {
		push()
	}
	if wait := push("", ""); wait < 4*time.Minute {
		t.Errorf("after six failures it waits for %s", wait)
	}
	if wait := push(strings.Repeat("a", 40), ""); wait <= 0 || wait > firstPause {
		t.Errorf("although something was written, it waits for %s", wait)
	}
}
