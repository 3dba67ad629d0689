package job_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/sengu-dev/sengu/internal/job"
)

// TestFindsItsOwnJobOnly looks for Jobs by their name, here and elsewhere.
func TestFindsItsOwnJobOnly(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	uid := b.mustMake(s).UID
	elsewhere := b.plane.Namespace(t)
	cases := map[string]struct {
		change      func(s *job.Spec)
		there, find bool
	}{
		"Same":         {func(*job.Spec) {}, true, true},
		"Recorded":     {func(s *job.Spec) { s.UID = uid }, true, true},
		"AnotherUID":   {func(s *job.Spec) { s.UID = "another" }, false, false},
		"AnotherName":  {func(s *job.Spec) { s.Name += "o" }, false, false},
		"OtherRelease": {func(s *job.Spec) { s.Release = "release-0" }, false, false},
		"OtherStep":    {func(s *job.Spec) { s.Step = "seed" }, false, false},
		"OtherOwner":   {func(s *job.Spec) { s.Owner.UID = "another" }, false, false},
		"Elsewhere":    {func(s *job.Spec) { s.Namespace = elsewhere }, false, true},
		"ElsewhereUID": {func(s *job.Spec) { s.Namespace, s.UID = elsewhere, uid }, false, true},
		"Neither":      {func(s *job.Spec) { s.Namespace, s.Release = elsewhere, "release-0" }, false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			asked := s
			tc.change(&asked)
			there, ok, err := job.There(t.Context(), b.conn, asked)
			if err != nil || ok != tc.there || ok && there.UID != uid || !ok && there.UID != asked.UID {
				t.Errorf("There: %v, %v, %s", ok, err, there.UID)
			}
			found, ok, err := job.Find(t.Context(), b.conn, asked)
			if err != nil || ok != tc.find || ok && (found.UID != uid || found.Namespace != s.Namespace) {
				t.Errorf("Find: %v, %v, %s in %s", ok, err, found.UID, found.Namespace)
			}
		})
	}
	// What could not be asked is no answer.
	b.front.fault(func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Query().Get("limit") != "" && status(w, http.StatusInternalServerError, "InternalError")
	})
	asked := s
	asked.Namespace = elsewhere
	_, ok, err := job.Find(t.Context(), b.conn, asked)
	var refusal *job.Refusal
	if ok || !errors.As(err, &refusal) || !refusal.Temporary {
		t.Errorf("got %v, %v", ok, err)
	}
}
