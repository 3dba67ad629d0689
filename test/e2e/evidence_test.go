package e2e_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// evidence is everything that Sengu said in this run, as files of one folder: logs, Events, every state of its objects,
// and what its verbs printed. It knows the values that must not be in there.
type evidence struct {
	dir string

	mu sync.Mutex
	// planted leads from what a secret value looks like to what it is.
	planted map[string]string
}

func newEvidence(dir string) (*evidence, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &evidence{dir: dir, planted: map[string]string{}}, nil
}

// plant makes value one that must never be said. Encodings of it must not be, either.
func (e *evidence) plant(what, value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.planted[value] = what
	e.planted[base64.StdEncoding.EncodeToString([]byte(value))] = what + ", in base64"
	e.planted[url.QueryEscape(value)] = what
	for line := range strings.Lines(value) { // of a key
		if line = strings.TrimSpace(line); len(line) > 40 {
			e.planted[line] = what
		}
	}
}

// file opens a file of the folder to append to.
func (e *evidence) file(name string) (*os.File, error) {
	path := filepath.Join(e.dir, strings.ReplaceAll(name, "/", "_"))
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// judge looks for planted values, and fails if there is nothing to look through.
func (e *evidence) judge() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	said := 0
	err := filepath.WalkDir(e.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		said += len(data)
		for value, what := range e.planted {
			if at := bytes.Index(data, []byte(value)); at >= 0 {
				line := 1 + bytes.Count(data[:at], []byte("\n"))
				errs = append(errs, fmt.Errorf("LEAK: %s:%d shows %s", path, line, what))
			}
		}
		return err
	})
	if said == 0 {
		errs = append(errs, errors.New("Sengu said nothing at all: the search for secrets proves nothing"))
	}
	return errors.Join(append(errs, err)...)
}

func TestEvidenceFindsWhatIsPlanted(t *testing.T) {
	const value = "pl4nted/value+of a test"
	for name, test := range map[string]struct {
		said string
		want string
	}{
		"nothing said":  {"", "nothing at all"},
		"harmless":      {"all is well\n", ""},
		"as it is":      {"one\ntwo " + value + "\n", "said:2 shows a test value"},
		"in base64":     {"password: " + base64.StdEncoding.EncodeToString([]byte(value)), "in base64"},
		"in an address": {"http://x?a=" + url.QueryEscape(value), "said:1 shows"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := newEvidence(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			e.plant("a test value", value)
			if err := os.WriteFile(filepath.Join(e.dir, "said"), []byte(test.said), 0o600); err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(e.judge())
			if test.want == "" && got != "<nil>" || !strings.Contains(got, test.want) || strings.Contains(got, value) {
				t.Errorf("got %q, want it to say %q", got, test.want)
			}
		})
	}
}
