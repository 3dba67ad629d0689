package e2e_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore/postgrestest"
)

// TestHistory writes down what happens, in SQLite and in PostgreSQL, and measures it; a server that is started again
// writes nothing twice, and the log of a Job outlives the Job.
func TestHistory(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string]func(*testing.T) []string{
		"sqlite": func(*testing.T) []string { return nil },
		"postgres": func(t *testing.T) []string {
			server, err := postgrestest.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			})
			url := server.Database(t)
			theWorld(t).evidence.plant("the URL of the history, with its password", url)
			return []string{"--database", url}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSenguWith(t, flags(t), inOrder(ungated, "staging", "production"))
			s.synced(s.repo.commit(judged("web", "0", "staging", "production")), 2)
			for i := 1; i <= 3; i++ {
				s.becomes("web", s.repo.commit(judged("web", fmt.Sprint(i), "staging", "production")), "production", v1alpha1.StageDone)
			}
			s.kill9()
			s.start()
			s.eventually("what happened is measured", func() error {
				text, err := s.cli("insights", "web", "-e", "production", "-o", "json", "--server", "http://"+s.address)
				if err != nil {
					return err
				}
				var found []history.Insight
				if err := json.Unmarshal([]byte(text), &found); err != nil {
					return fmt.Errorf("%w: %s", err, text)
				}
				if len(found) != 1 || found[0].Deployments != 3 || found[0].LeadTime.N != 3 || found[0].Failures != 0 {
					return fmt.Errorf("%+v", found)
				}
				return nil
			})
			s.must("insights", "--server", "http://"+s.address)
		})
	}
}
