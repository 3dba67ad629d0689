package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestLogIsBounded(t *testing.T) {
	const limit = 1000
	path := filepath.Join(t.TempDir(), "log")
	l, err := OpenLog(path, limit)
	if err != nil {
		t.Fatalf("OpenLog: %v", err)
	}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 100 {
				if _, err := fmt.Fprintf(l, "writer %d line %03d\n", w, i); err != nil {
					t.Errorf("Write: %v", err)
				}
			}
		})
	}
	writers.Wait()
	if err := l.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	for _, p := range []string{path, path + ".old"} {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 || len(b) > limit {
			t.Errorf("%s has %d bytes, want at most %d", filepath.Base(p), len(b), limit)
		}
		for line := range strings.Lines(string(b)) {
			if !strings.HasPrefix(line, "writer ") || !strings.HasSuffix(line, "\n") {
				t.Errorf("%s has a broken line %q", filepath.Base(p), line)
			}
		}
	}
}

func TestLogGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, s := range []string{"one\n", "two\n"} {
		l, err := OpenLog(path, LogLimit)
		if err != nil {
			t.Fatalf("OpenLog: %v", err)
		}
		if _, err := l.Write([]byte(s)); err != nil {
			t.Errorf("Write: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
		if _, err := l.Write([]byte(s)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Write after Close: got %v, want %v", err, fs.ErrClosed)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "one\ntwo\n" {
		t.Errorf("log: got %q, %v; want both runs", b, err)
	}
	wantPrivate(t, path)
}
