package render

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var testKey = []byte("0123456789abcdef0123456789abcdef")

func cacheFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func mustRender(t testing.TB, r *Renderer, q Request) Result {
	t.Helper()
	res, err := r.Render(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestCacheSurvivesRestart(t *testing.T) {
	src, dir := openDir(t, fixtures), t.TempDir()
	withCache := func(o *Options) { o.CacheDir, o.CacheKey = dir, testKey }
	for _, path := range []string{"shop/overlays/production", "charts/store", "plain"} {
		q := Request{Source: src, Path: path}
		first := mustRender(t, newRenderer(t, withCache), q)
		// The second renderer cannot start a worker at all.
		again := mustRender(t, newRenderer(t, withCache, func(o *Options) { o.Executable = "/does/not/exist" }), q)
		if first.Cached || !again.Cached {
			t.Errorf("%s: cached %t then %t, want false then true", path, first.Cached, again.Cached)
		}
		again.Cached = false
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	for _, f := range cacheFiles(t, dir) {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", f, info.Mode())
		}
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "fallback") || strings.Contains(string(data), "not a key") {
			t.Errorf("%s holds a Secret in the clear", f)
		}
	}
}

func TestCacheMissesWhatChanged(t *testing.T) {
	files := f1App("shop")
	src := writeTree(t, files)
	r := newRenderer(t, func(o *Options) { o.CacheDir = t.TempDir() })
	q := Request{Source: src, Path: "apps/shop"}
	mustRender(t, r, q)
	if !mustRender(t, r, q).Cached {
		t.Error("the same question is rendered twice")
	}
	namespaced := q
	namespaced.Namespace = "other"
	if mustRender(t, r, namespaced).Cached {
		t.Error("another question is answered from the cache")
	}
	sa := filepath.Join(src.root.Name(), "apps/shop/sa.yaml")
	old, err := os.ReadFile(sa)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sa, []byte(strings.Replace(string(old), "shop", "other", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if res := mustRender(t, r, q); res.Cached || res.Objects[3].GetName() != "other" {
		t.Error("a change is not seen")
	}
	if err := os.WriteFile(sa, old, 0o644); err != nil {
		t.Fatal(err)
	}
	if !mustRender(t, r, q).Cached {
		t.Error("the earlier state is rendered again")
	}
}

func TestCacheKeepsNoSecretWithoutKey(t *testing.T) {
	dir := t.TempDir()
	r := newRenderer(t, func(o *Options) { o.CacheDir = dir })
	mustRender(t, r, Request{Source: openDir(t, fixtures), Path: "charts/store"})
	if files := cacheFiles(t, dir); len(files) > 0 {
		t.Errorf("a result with a Secret is on disk: %v", files)
	}
}

func TestCacheIgnoresDamage(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"cut":       func(b []byte) []byte { return b[:len(b)/2] },
		"empty":     func([]byte) []byte { return nil },
		"bit":       func(b []byte) []byte { b[len(b)-3] ^= 4; return b },
		"other key": func(b []byte) []byte { b[10] ^= 1; return b },
	}
	for _, key := range [][]byte{nil, testKey} {
		for name, damage := range damages {
			dir := t.TempDir()
			withCache := func(o *Options) { o.CacheDir, o.CacheKey = dir, key }
			q := Request{Source: openDir(t, fixtures), Path: "plain"}
			mustRender(t, newRenderer(t, withCache), q)
			file := cacheFiles(t, dir)[0]
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "new-123"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			r := newRenderer(t, withCache)
			if res := mustRender(t, r, q); res.Cached {
				t.Errorf("%s (encrypted %t): damaged result was used", name, key != nil)
			}
			if res := mustRender(t, r, q); !res.Cached {
				t.Errorf("%s (encrypted %t): damaged result was not made again", name, key != nil)
			}
			if files := cacheFiles(t, dir); len(files) != 1 {
				t.Errorf("%s: left over: %v", name, files)
			}
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	c, err := openCache(Options{CacheDir: dir, CacheLimit: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		set := ReadSet{"file": strings.Repeat("x", i+1)}
		key := strings.Repeat(string(rune('a'+i%10)), 32)
		if err := c.put(key, set, []byte(strings.Repeat("payload", i))); err != nil {
			t.Fatal(err)
		}
	}
	var size int64
	for _, f := range cacheFiles(t, dir) {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > c.limit || size != c.size {
		t.Errorf("%d bytes on disk, %d counted, %d allowed", size, c.size, c.limit)
	}
	for key, names := range c.byKey {
		if len(names) > candidates {
			t.Errorf("%d results for %s", len(names), key)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v %v", info.Mode(), err)
	}
	again, err := openCache(Options{CacheDir: dir, CacheLimit: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if again.size != c.size || len(again.files) != len(c.files) {
		t.Errorf("after a restart %d bytes in %d files, before %d in %d", again.size, len(again.files), c.size, len(c.files))
	}
}

func BenchmarkHit(b *testing.B) {
	src := writeTree(b, f1App("shop"))
	dir := b.TempDir()
	r := newRenderer(b, func(o *Options) { o.CacheDir, o.CacheKey = dir, testKey })
	q := Request{Source: src, Path: "apps/shop"}
	mustRender(b, r, q)
	for b.Loop() {
		if !mustRender(b, r, q).Cached {
			b.Fatal("missed")
		}
	}
}
