package gitrepo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

func TestLogListsWhatTheOtherHasNot(t *testing.T) {
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{})
	first := s.commit("main", "", map[string]string{"a": "1"})
	second := s.commit("main", "", map[string]string{"a": "2"})
	third := s.commit("main", "", map[string]string{"a": "3"})
	mustFetch(t, s.repo, "main", tokenAuth(t, token))
	for _, test := range []struct {
		name, from, to string
		most           int
		want           []string
		more           bool
	}{
		{"all", first, third, 10, []string{third, second}, false},
		{"as many as there are", first, third, 2, []string{third, second}, false},
		{"more than wanted", first, third, 1, []string{third}, true},
		{"one", second, third, 10, []string{third}, false},
		{"none of one", second, third, 0, nil, true},
		{"back", third, first, 10, nil, false},
		{"nothing", third, third, 10, nil, false},
	} {
		commits, more, err := s.repo.Log(t.Context(), test.from, test.to, test.most)
		var got []string
		for _, one := range commits {
			got = append(got, one.Hash)
		}
		if err != nil || strings.Join(got, " ") != strings.Join(test.want, " ") || more != test.more {
			t.Errorf("%s: %v, more %t, %v; want %v, %t", test.name, got, more, err, test.want, test.more)
		}
	}
	if _, _, err := s.repo.Log(t.Context(), strings.Repeat("0", 40), third, 1); !errors.Is(err, gitrepo.ErrUnknownRevision) {
		t.Errorf("from what is not here: %v", err)
	}
	if _, _, err := s.repo.Log(t.Context(), "--output=/tmp/x", third, 1); err == nil {
		t.Error("what is no hash was handed to git")
	}
}
