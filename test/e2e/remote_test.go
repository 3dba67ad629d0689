package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestRemoteAllowedLater has an App want a chart that its Fleet does not allow. Once the Fleet does, the App goes on at
// once, which is long before its next try would be due.
func TestRemoteAllowedLater(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	remote, contacts := trap(t)
	message := func() string {
		_, text, _ := condition(s.app("web", "dev").Status.Conditions, v1alpha1.ConditionReady)
		return text
	}
	s.repo.commit(files{folder("web", "dev") + "/sengu.yaml": "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nsource:\n  chart: {repository: " + remote + ", name: a, version: 1.0.0}\n"})
	s.eventually("the chart is refused", func() error {
		if text := message(); !strings.Contains(text, "not allowed") || contacts.Load() > 0 {
			return fmt.Errorf("it says %q, after %d contacts", text, contacts.Load())
		}
		return nil
	})
	s.patch(s.home, s.theFleet(), fmt.Sprintf(`{"spec":{"remotes":[{"prefix":%q}]}}`, remote))
	s.eventually("the chart is asked for", func() error {
		if text := message(); strings.Contains(text, "not allowed") || contacts.Load() == 0 {
			return fmt.Errorf("it says %q, after %d contacts", text, contacts.Load())
		}
		return nil
	})
}
