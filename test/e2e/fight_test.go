package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rival is the field manager of somebody who changes a field again whenever Sengu puts it back.
const rival = "other-operator"

// fight is a test in which somebody and Sengu both want a field.
type fight struct {
	*sengu
	// putBack is when Sengu was seen to put the field back, each time.
	putBack []time.Time
}

// strike changes the field if it is as Git says.
func (f *fight) strike() {
	f.Helper()
	if f.holds(f.dev, "web", "git") != nil {
		return
	}
	f.putBack = append(f.putBack, time.Now())
	theirs := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"value":"theirs"}}`))
	if err := f.dev.Patch(f.Context(), f.configMap("web"), theirs, client.FieldOwner(rival)); err != nil {
		f.Fatalf("change the field: %v", err)
	}
}

// TestFight has another controller change a field again and again. Sengu puts it back less and less often, the status
// names the field, the other and the way out, everything else of the App is looked after as ever, and when the other
// stops, Git wins.
func TestFight(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	at := folder("web", "dev")
	s.synced(s.repo.commit(fourObjects(at, "web", "git").with(files{at + "/calm.yaml": configMap("calm", "git")})), 1)
	f := &fight{sengu: s}
	s.eventually("the App says who it is that changes the field", func() error {
		f.strike()
		text := why(s.app("web", "dev").Status.Why)
		for _, word := range []string{"ConfigMap", "web", "data.value", rival, "again and again", "ignore", "sengu.yaml"} {
			if !strings.Contains(text, word) {
				return fmt.Errorf("after %d reverts it says %q", len(f.putBack), text)
			}
		}
		return nil
	})
	if text := s.must("why", appName("web", "dev")); !strings.Contains(text, rival) || !strings.Contains(text, "data.value") {
		t.Errorf("`sengu why` does not name %s and the field: %s", rival, text)
	}
	// The longer it lasts, the longer Sengu waits: that machines are slow only makes pauses longer.
	known := len(f.putBack)
	s.eventually("Sengu has put the field back three times more", func() error {
		f.strike()
		if more := len(f.putBack) - known; more < 3 {
			return fmt.Errorf("%d times", more)
		}
		return nil
	})
	last := len(f.putBack) - 1
	first, second := f.putBack[last-1].Sub(f.putBack[last-2]), f.putBack[last].Sub(f.putBack[last-1])
	t.Logf("the field was put back %d times; the last pauses were %s and %s", last+1, first.Round(time.Millisecond), second.Round(time.Millisecond))
	if first < 3*time.Second || second < 6*time.Second {
		t.Errorf("Sengu does not back off: it put the field back %s and %s after the time before", first, second)
	}
	s.patch(s.dev, s.configMap("calm"), `{"data":{"value":"by hand"}}`)
	s.eventually("drift of another object is undone meanwhile", func() error { return s.holds(s.dev, "calm", "git") })
	if s.holds(s.dev, "web", "git") == nil && time.Since(f.putBack[last]) < second {
		t.Error("the contested field was put back together with the other object, before its pause was over")
	}
	s.eventually("Git wins when the other has stopped", func() error {
		if err := s.holds(s.dev, "web", "git"); err != nil {
			return err
		}
		a := s.app("web", "dev")
		if a.Status.Why != nil && strings.Contains(a.Status.Why.Message, rival) {
			return fmt.Errorf("it still says %q", a.Status.Why.Message)
		}
		return notSynced(a)
	})
}
