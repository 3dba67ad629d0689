package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRunawayCharts renders charts that take what they can get, and a good App beside each of them.
func TestRunawayCharts(t *testing.T) {
	tests := map[string]struct {
		data string
		more []string
		want []string
	}{
		"loops":             {"a: {{ range $i := until 60000 }}{{ range $j := until 60000 }}{{ range $k := until 60000 }}{{ end }}{{ end }}{{ end }}", nil, []string{"takes longer than", "loop"}},
		"eats memory":       {"a: {{ $l := list }}{{ range $i := until 100000 }}{{ $l = append $l (repeat 100000 (print $i)) }}{{ end }}", nil, []string{"memory"}},
		"one huge list":     {"a: {{ until 2000000000 | len }}", nil, []string{"memory"}},
		"one huge string":   {"a: {{ repeat 2000000000 \"abcdefgh\" | len }}", nil, []string{"memory"}},
		"grows by includes": {"a: {{ include \"x\" (dict \"s\" \"abcdefghijklmnop\" ) }}", []string{"app/templates/_h.tpl", `{{ define "x" }}{{ $s := printf "%s%s" .s .s }}{{ include "x" (dict "s" $s) }}{{ end }}`}, []string{"memory"}},
		"prints too much":   {"a: {{ range $i := until 3000 }}{{ repeat 10000 \"x\" }}{{ end }}", nil, []string{"MiB"}},
	}
	// What runs into another limit has to run into that one, however slow the machine is.
	limits := map[bool]*Renderer{}
	for endless, limit := range map[bool]time.Duration{true: 8 * time.Second, false: 5 * time.Minute} {
		limits[endless] = newRenderer(t, func(o *Options) {
			o.Timeout, o.MemoryLimit, o.OutputLimit, o.Workers = limit, 256<<20, 8<<20, 2
			if raceEnabled {
				o.MemoryLimit = 1 << 30
			}
		})
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := limits[name == "loops"]
			src := writeTree(t, chartFiles(test.data, test.more...))
			good := openDir(t, fixtures)
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := r.Render(context.Background(), Request{Source: src, Path: "app"})
				var e *Error
				if !errors.As(err, &e) {
					t.Errorf("got %v, want an *Error", err)
					return
				}
				t.Log(e.Sentence)
				checkSentence(t, e.Sentence, append(test.want, "app")...)
				if len(e.ReadSet) == 0 {
					t.Error("nothing in the read-set")
				}
			})
			for range 3 {
				if _, err := r.Render(context.Background(), Request{Source: good, Path: "shop/overlays/production"}); err != nil {
					t.Errorf("a good App beside it: %v", err)
				}
			}
			wg.Wait()
		})
	}
}

func TestHugeFile(t *testing.T) {
	src := writeTree(t, map[string]string{"app/kustomization.yaml": "resources: [a.yaml, big.yaml]\n", "app/a.yaml": cm("a"), "plain/a.yaml": cm("a")})
	big := bytes.Repeat([]byte("# comment\n"), 20<<20)
	for _, dir := range []string{"app", "plain"} {
		if err := os.WriteFile(filepath.Join(src.root.Name(), dir, "big.yaml"), big, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := newRenderer(t)
	for _, dir := range []string{"app", "plain"} {
		_, err := r.Render(context.Background(), Request{Source: src, Path: dir})
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: got %v, want an *Error", dir, err)
		}
		checkSentence(t, e.Sentence, dir+"/big.yaml", "200 MiB")
	}
}

func TestSymlinks(t *testing.T) {
	src := writeTree(t, map[string]string{
		"base/kustomization.yaml": "resources: [a.yaml]", "base/a.yaml": cm("a"),
		"in/kustomization.yaml": "resources: [link]", "file/kustomization.yaml": "resources: [link.yaml]",
		"out/kustomization.yaml": "resources: [link.yaml]", "plainout/b.yaml": cm("b"), "outdir/kustomization.yaml": "resources: [link]",
		"loop/kustomization.yaml": "resources: [link]",
	})
	root := src.root.Name()
	for link, target := range map[string]string{
		"in/link": "../base", "file/link.yaml": "../base/a.yaml", "out/link.yaml": "/etc/passwd", "plainout/link.yaml": "../../../etc/passwd",
		"outdir/link": "/etc", "loop/link": "link",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	r := newRenderer(t)
	for _, dir := range []string{"in", "file"} {
		res, err := r.Render(context.Background(), Request{Source: src, Path: dir})
		if err != nil || len(res.Objects) != 1 {
			t.Errorf("%s: %d objects, %v", dir, len(res.Objects), err)
			continue
		}
		behind := map[string]string{"in": "base", "file": "base/a.yaml"}[dir]
		if _, ok := res.ReadSet[behind]; !ok {
			t.Errorf("%s: %s is not in the read-set: %v", dir, behind, res.ReadSet.Paths())
		}
		a := filepath.Join(root, "base/a.yaml")
		if err := os.WriteFile(a, []byte(cm("a")+"data: {x: "+dir+"}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if changed, err := res.ReadSet.Changed(src); err != nil || !changed {
			t.Errorf("%s: a change behind the link is not seen: %v %v", dir, err, res.ReadSet)
		}
	}
	for _, dir := range []string{"out", "plainout", "outdir", "loop"} {
		_, err := r.Render(context.Background(), Request{Source: src, Path: dir})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, want an *Error", dir, err)
			continue
		}
		t.Log(e.Sentence)
		checkSentence(t, e.Sentence, dir)
	}
}

// TestCancel stops waiting for a worker, and a render under way, when the caller does.
func TestCancel(t *testing.T) {
	r := newRenderer(t, func(o *Options) { o.Workers = 1 })
	loop := writeTree(t, chartFiles(`a: {{ range $i := until 60000 }}{{ range $j := until 60000 }}{{ end }}{{ end }}`))
	ctx, cancel := context.WithCancel(context.Background())
	busy := make(chan error, 1)
	reading := &signalSource{Source: loop, ready: make(chan struct{})}
	go func() {
		_, err := r.Render(ctx, Request{Source: reading, Path: "app"})
		busy <- err
	}()
	<-reading.ready
	waiting, stop := context.WithCancel(context.Background())
	stop()
	if _, err := r.Render(waiting, Request{Source: loop, Path: "app"}); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: got %v, want %v", err, context.Canceled)
	}
	cancel()
	if err := <-busy; !errors.Is(err, context.Canceled) {
		t.Errorf("under way: got %v, want %v", err, context.Canceled)
	}
	if res := mustRender(t, r, Request{Source: openDir(t, fixtures), Path: "plain"}); len(res.Objects) == 0 {
		t.Error("nothing rendered afterwards")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Render(context.Background(), Request{Source: loop, Path: "app"}); !errors.Is(err, errClosed) {
		t.Errorf("closed: got %v, want %v", err, errClosed)
	}
}

// signalSource tells when it is read.
type signalSource struct {
	Source
	once  sync.Once
	ready chan struct{}
}

func (s *signalSource) Hash(name string) (string, error) { return s.Source.Hash(name) }

func (s *signalSource) Open(name string) (fs.File, error) {
	s.once.Do(func() { close(s.ready) })
	return s.Source.Open(name)
}

// TestKilledWorker shows that a worker that dies takes no other render with it.
func TestKilledWorker(t *testing.T) {
	r := newRenderer(t, func(o *Options) { o.Workers = 1 })
	q := Request{Source: openDir(t, fixtures), Path: "plain"}
	mustRender(t, r, q)
	for range 3 {
		w := r.pool.idle[0]
		if err := w.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-w.exited
		mustRender(t, r, q)
	}
}

// TestParentGone shows that a worker ends with its parent, even in the middle of a render that would not.
func TestParentGone(t *testing.T) {
	r := newRenderer(t)
	w, err := startProcess(r.opts)
	if err != nil {
		t.Fatal(err)
	}
	src := writeTree(t, chartFiles(`a: {{ range $i := until 60000 }}{{ range $j := until 60000 }}{{ end }}{{ end }}`))
	s := &server{fileLimit: 1 << 20, readLimit: 1 << 20, fetches: fetches{r: r, rec: NewRecorder(src)}}
	if err := r.sendJob(w, Request{Source: src, Path: "app"}, s); err != nil {
		t.Fatal(err)
	}
	if err := w.in.Close(); err != nil { // what the kernel does when a parent is killed
		t.Fatal(err)
	}
	select {
	case <-w.exited:
	case <-time.After(20 * time.Second):
		w.kill("the test failed")
		t.Error("the worker lives on")
	}
}

// TestIdleWorker lets a worker go that has nothing to do.
func TestIdleWorker(t *testing.T) {
	r := newRenderer(t)
	q := Request{Source: openDir(t, fixtures), Path: "plain"}
	mustRender(t, r, q)
	w := r.pool.idle[0]
	r.pool.expire(w)
	<-w.exited
	if len(r.pool.idle) != 0 || len(r.pool.all) != 0 {
		t.Errorf("%d idle, %d in all", len(r.pool.idle), len(r.pool.all))
	}
	mustRender(t, r, q)
}

func TestConcurrentRenders(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		for name, content := range f1App(fmt.Sprintf("app-%d", i)) {
			files[name] = content
		}
	}
	src := writeTree(t, files)
	r := newRenderer(t, func(o *Options) { o.Workers = 3 })
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			name := fmt.Sprintf("app-%d", i%20)
			res, err := r.Render(context.Background(), Request{Source: src, Path: "apps/" + name})
			if err != nil {
				t.Error(err)
				return
			}
			for _, o := range res.Objects {
				if o.GetName() != name || !strings.HasPrefix(o.Origin, "apps/"+name+"/") {
					t.Errorf("%s has %s from %s", name, o.Ref(), o.Origin)
				}
			}
		})
	}
	wg.Wait()
	if n := len(r.pool.all); n > 3 {
		t.Errorf("%d workers, 3 allowed", n)
	}
}
