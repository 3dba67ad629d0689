package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const ownRule = `apiVersion: sengu.dev/v1alpha1
kind: Delivery
health:
- kind: ConfigMap
  degraded: self.data.value == 'bad'
  message: "'its value is ' + self.data.value"
`

// TestOwnHealthRules has a service judge a kind by a rule of its own. The App, `sengu tree` and a Sengu that was started
// again without its Git server all judge by it.
func TestOwnHealthRules(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev, noSelfHeal)
	at := folder("web", "dev")
	s.synced(s.repo.commit(files{at + "/a.yaml": configMap("web", "good"), at + "/sengu.yaml": ownRule}), 1)
	s.judgedAs(v1alpha1.Healthy, "")

	s.kill9()
	s.repo.away(true)
	s.start()
	s.patch(s.dev, s.configMap("web"), `{"data":{"value":"bad"}}`)
	s.judgedAs(v1alpha1.Degraded, "its value is bad")
	s.repo.away(false)

	s.synced(s.repo.commit(files{at + "/a.yaml": configMap("web", "bad"), at + "/sengu.yaml": gone}), 1)
	s.judgedAs(v1alpha1.Healthy, "")
}

// judgedAs waits until the App of service web has a health, and holds `sengu tree` to it.
func (s *sengu) judgedAs(health v1alpha1.HealthStatus, message string) {
	s.Helper()
	s.eventually("the App is "+string(health), func() error {
		if a := s.app("web", "dev"); a.Status.Health != health {
			return fmt.Errorf("it is %s: %s", a.Status.Health, why(a.Status.Why))
		}
		return nil
	})
	var tree struct {
		Objects []struct {
			Kind, Message string
			Health        v1alpha1.HealthStatus
		}
	}
	text := s.must("tree", appName("web", "dev"), "-o", "json")
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		s.Fatalf("`sengu tree -o json`: %v: %s", err, text)
	}
	for _, object := range tree.Objects {
		if object.Kind == "ConfigMap" && (object.Health != health || !strings.Contains(object.Message, message)) {
			s.Errorf("`sengu tree` says that the ConfigMap is %s (%q), and the App is %s", object.Health, object.Message, health)
		}
	}
	if len(tree.Objects) == 0 {
		s.Errorf("`sengu tree` shows nothing: %s", text)
	}
}
