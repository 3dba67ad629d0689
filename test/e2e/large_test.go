package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// TestLargestApp delivers an App of as many objects as there may be, has one of them drift, and is refused one more.
func TestLargestApp(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	name := func(i int) string { return fmt.Sprintf("a-name-of-a-length-that-people-do-choose-%04d", i) }
	var all strings.Builder
	for i := range manifest.MaxObjects {
		all.WriteString("---\n" + configMap(name(i), "git"))
	}
	at := folder("web", "dev")
	head := s.repo.commit(files{at + "/all.yaml": all.String()})
	s.synced(head, 1)
	if n := len(s.app("web", "dev").Status.Inventory); n != manifest.MaxObjects {
		t.Errorf("the inventory has %d objects, want %d", n, manifest.MaxObjects)
	}
	s.patch(s.dev, s.configMap(name(7)), `{"data":{"value":"theirs"}}`)
	s.eventually("drift of one of them is undone", func() error { return s.holds(s.dev, name(7), "git") })
	before := s.uids(s.dev)
	next := s.repo.commit(files{at + "/more.yaml": configMap("one-too-many", "git")})
	s.eventually("one more is refused", func() error {
		if err := s.compared(next); err != nil {
			return err
		}
		a := s.app("web", "dev")
		_, message, _ := condition(a.Status.Conditions, v1alpha1.ConditionReady)
		if !strings.Contains(message, "5001 objects") || !strings.Contains(message, "split it") || a.Status.Revision != head {
			return fmt.Errorf("it runs %.7s, and says %q", a.Status.Revision, message)
		}
		return nil
	})
	after := s.uids(s.dev)
	if err := sameUIDs(before, after); err != nil || len(after) != manifest.MaxObjects {
		t.Errorf("%d objects are left of %d: %v", len(after), len(before), err)
	}
}
