package sqlstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

func TestLogs(t *testing.T) {
	var long bytes.Buffer
	for n := 0; long.Len() < 3<<20; n++ {
		fmt.Fprintf(&long, "line %d of many\n", n)
	}
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		key := history.LogKey{Release: "checkout-1", Environment: "staging", Step: "migrate"}
		if _, err := s.Log(ctx, key); !errors.Is(err, sqlstore.ErrNotFound) {
			t.Errorf("no log: %v", err)
		} else if want := "read a log: no log of migrate of release checkout-1 in staging is kept"; err.Error() != want {
			t.Errorf("no log: %q, want %q", err, want)
		}
		for _, text := range []string{"first\n", "", "\x00\xff not text", strings.Repeat("x", sqlstore.MaxLog)} {
			if err := s.SaveLog(ctx, key, []byte(text)); err != nil {
				t.Fatal(err)
			}
			got, err := s.Log(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(text, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
		other := key
		other.Step = "e2e"
		if _, err := s.Log(ctx, other); !errors.Is(err, sqlstore.ErrNotFound) {
			t.Errorf("the log of another step: %v", err)
		}

		if err := s.SaveLog(ctx, key, long.Bytes()); err != nil {
			t.Fatal(err)
		}
		got, err := s.Log(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		first, rest, _ := strings.Cut(string(got), "\n")
		var missing int
		if _, err := fmt.Sscanf(first, "[the first %d bytes of this log are not kept]", &missing); err != nil {
			t.Fatalf("a long log begins with %q", first)
		}
		if len(got) > sqlstore.MaxLog || len(got) < sqlstore.MaxLog-200 || rest != long.String()[missing:] || !strings.HasPrefix(rest, "line ") {
			t.Errorf("of a long log %d bytes are kept, which begin %q", len(got), rest[:20])
		}

		// One line without an end is cut anywhere.
		if err := s.SaveLog(ctx, key, bytes.Repeat([]byte("x"), 2*sqlstore.MaxLog)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Log(ctx, key); err != nil || len(got) > sqlstore.MaxLog || len(got) < sqlstore.MaxLog-200 {
			t.Errorf("of one long line %d bytes are kept: %v", len(got), err)
		}
		if err := s.SaveLog(ctx, history.LogKey{Step: "\x00"}, nil); !errors.Is(err, sqlstore.ErrRefused) {
			t.Errorf("a step that is not text: %v", err)
		}
	})
}
