package render

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render/remote"
	"github.com/sengu-dev/sengu/internal/render/wire"
	"github.com/sengu-dev/sengu/internal/render/worker"
)

// WorkerVerb is the hidden verb that starts a worker.
const WorkerVerb = "render-worker"

// WorkerMain is what the hidden verb calls, before it touches anything: it enters the sandbox and renders what comes
// from in. The process ends with code 0 when in ends; otherwise the exit code is returned.
func WorkerMain(in io.Reader, out io.Writer) int { return worker.Main(in, out) }

// Renderer renders in worker processes, which it starts when they are needed and lets go when they are idle. It is
// safe for concurrent use.
type Renderer struct {
	opts  Options
	pool  *pool
	cache *cache // nil when nothing is kept

	remote *remote.Client
	// readers keys the hashes of the credentials that what was fetched is kept by.
	readers []byte
}

// New returns a Renderer. It starts nothing.
func New(o Options) (*Renderer, error) {
	if o.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the program for render workers: %w", err)
		}
		o.Executable = exe
		if o.Args == nil {
			o.Args = []string{WorkerVerb}
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.Workers, runtime.NumCPU())
	setDefault(&o.MemoryLimit, 512<<20)
	setDefault(&o.Timeout, 60*time.Second)
	setDefault(&o.OutputLimit, 32<<20)
	setDefault(&o.FileLimit, 8<<20)
	setDefault(&o.ReadLimit, 128<<20)
	setDefault(&o.CacheLimit, 256<<20)
	c, err := openCache(o)
	if err != nil {
		return nil, err
	}
	readers := o.CacheKey
	if len(readers) == 0 {
		readers = make([]byte, 32)
		_, _ = rand.Read(readers) // it never fails
	}
	return &Renderer{opts: o, pool: newPool(o), cache: c, remote: remote.New(chartDir(o), o.CacheLimit, readers), readers: readers}, nil
}

// chartDir is where charts from outside are kept, beside the results.
func chartDir(o Options) string {
	if o.CacheDir == "" {
		return ""
	}
	return filepath.Join(o.CacheDir, "charts")
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Close ends all workers and waits for them. Renders under way fail.
func (r *Renderer) Close() error {
	r.pool.close()
	return nil
}

// Render renders one folder. Every failure that has to do with what is rendered is an [*Error], with what was read
// until then.
func (r *Renderer) Render(ctx context.Context, q Request) (Result, error) {
	rec, ok := q.Source.(*Recorder)
	if !ok {
		rec = NewRecorder(q.Source)
	}
	res, err := r.render(ctx, q, rec)
	if err == nil {
		return res, nil
	}
	var e *Error
	if errors.As(err, &e) {
		set, setErr := rec.ReadSet()
		if setErr != nil {
			return Result{}, fmt.Errorf("render %s: %w", q.Path, setErr)
		}
		e.ReadSet = set
		return Result{}, e
	}
	return Result{}, fmt.Errorf("render %s: %w", q.Path, err)
}

func (r *Renderer) render(ctx context.Context, q Request, rec *Recorder) (Result, error) {
	q.Path = path.Clean(q.Path)
	if !fs.ValidPath(q.Path) {
		return Result{}, &Error{Sentence: fmt.Sprintf("%q leads out of the repository: name a folder within it", q.Path), File: q.Path}
	}
	key, err := cacheKey(q, r.readers)
	if err != nil {
		return Result{}, err
	}
	if res, ok := r.cached(key, rec); ok {
		return res, nil
	}
	w, err := r.pool.take(ctx)
	if err != nil {
		return Result{}, err
	}
	payload, err := r.run(ctx, w, q, rec)
	r.pool.give(w, err == nil || keepsWorker(err))
	if err != nil {
		return Result{}, err
	}
	res, err := decode(payload)
	if err != nil {
		return Result{}, err
	}
	res.Degraded = w.missing
	if res.ReadSet, err = rec.ReadSet(); err != nil {
		return Result{}, err
	}
	if r.cache != nil && (r.cache.aead != nil || !holdsSecret(res)) {
		if err := r.cache.put(key, res.ReadSet, payload); err != nil {
			r.opts.Logger.Warn("a render was not kept on disk", "error", err)
		}
	}
	return res, nil
}

// cached returns a result from disk when one fits.
func (r *Renderer) cached(key string, rec *Recorder) (Result, bool) {
	if r.cache == nil {
		return Result{}, false
	}
	payload, set, ok := r.cache.get(key, rec.src)
	if !ok {
		return Result{}, false
	}
	res, err := decode(payload)
	if err != nil {
		return Result{}, false
	}
	before, err := rec.ReadSet()
	if err != nil {
		return Result{}, false
	}
	maps.Copy(set, before)
	res.ReadSet, res.Cached = set, true
	return res, true
}

func holdsSecret(res Result) bool {
	return slices.ContainsFunc(res.All(), func(o manifest.Object) bool { return o.GetKind() == "Secret" })
}

// keepsWorker tells whether a worker can do another job after err: it answered, and the answer was that the job fails.
func keepsWorker(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.cause == nil
}

// run does one job on a worker and returns the payload of its Result.
func (r *Renderer) run(ctx context.Context, w *process, q Request, rec *Recorder) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { w.kill(r.whyStopped(ctx)) })()
	watch := newWatch(w, r.opts.MemoryLimit)
	defer watch.stop()

	s := &server{fileLimit: r.opts.FileLimit, readLimit: r.opts.ReadLimit, fetches: fetches{r: r, policy: q.Remote, rec: rec}}
	if err := r.sendJob(w, q, s); err != nil {
		return nil, r.broken(ctx, w, q, err)
	}
	for {
		kind, payload, err := wire.ReadFrame(w.out, r.opts.OutputLimit+1<<20)
		if err != nil {
			return nil, r.broken(ctx, w, q, err)
		}
		switch kind {
		case wire.Result:
			return payload, nil
		case wire.Failure:
			var f wire.Fault
			if err := json.Unmarshal(payload, &f); err != nil {
				return nil, r.broken(ctx, w, q, err)
			}
			return nil, &Error{Sentence: f.Sentence, File: f.File, Line: f.Line, Temporary: s.temporary}
		case wire.Open, wire.List, wire.Fetch:
			answer, err := s.answer(ctx, kind, payload)
			if err != nil {
				w.kill("its source cannot be read")
				return nil, err
			}
			if err := wire.WriteFrame(w.in, wire.Reply, answer); err != nil {
				return nil, r.broken(ctx, w, q, err)
			}
		default:
			w.kill("it does not keep to the protocol")
			return nil, r.broken(ctx, w, q, errGone)
		}
	}
}

func (r *Renderer) whyStopped(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("it takes longer than %s: look for a loop that does not end", r.opts.Timeout)
	}
	return "the render was cancelled"
}

// broken makes an error of a worker that is gone or talks nonsense.
func (r *Renderer) broken(ctx context.Context, w *process, q Request, cause error) error {
	_ = w.cmd.Process.Kill() // it is gone, or no worker to trust; its last words say why
	<-w.exited
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(cause, wire.ErrTooLong) {
		return &Error{Sentence: fmt.Sprintf("%s renders to more than %d MiB: split it into several Apps", q.Path, r.opts.OutputLimit>>20), File: q.Path, cause: errGone}
	}
	return &Error{Sentence: fmt.Sprintf("%s cannot be rendered: %s", q.Path, w.last()), File: q.Path, Temporary: true, cause: errGone}
}

// sendJob sends the parameters, and the folder itself when it is small.
func (r *Renderer) sendJob(w *process, q Request, s *server) error {
	p, err := json.Marshal(params(q, r.opts))
	if err != nil {
		return err
	}
	var b wire.Buffer
	b.Data(p)
	entries, ok, err := s.tree(q.Path)
	if err != nil {
		return err
	}
	if ok {
		b.Uint(1)
		wire.AppendEntries(&b, entries)
	} else {
		b.Uint(0)
	}
	return wire.WriteFrame(w.in, wire.Job, b.Bytes())
}

func params(q Request, o Options) wire.Params {
	p := wire.Params{
		Path:                  q.Path,
		Namespace:             q.Namespace,
		ReleaseName:           q.Release,
		ValuesFiles:           q.ValuesFiles,
		Values:                q.Values,
		KubeVersion:           q.Capabilities.KubeVersion,
		APIVersions:           q.Capabilities.APIVersions,
		AllowNondeterministic: q.AllowNondeterministic,
		OutputLimit:           o.OutputLimit,
		FileLimit:             int(o.FileLimit),
	}
	if q.Chart != nil {
		p.Chart = &wire.Chart{Repository: q.Chart.Repository, Name: q.Chart.Name, Version: q.Chart.Version, Digest: q.Chart.Digest}
	}
	return p
}

// memoryWatch looks at the memory of a worker while a job runs. Nothing tells when a process grows, so it looks; a
// job that is done within one interval is never looked at.
type memoryWatch struct {
	w     *process
	limit int64

	mu    sync.Mutex
	timer *time.Timer
	done  bool
}

const watchEvery = 30 * time.Millisecond

func newWatch(w *process, limit int64) *memoryWatch {
	m := &memoryWatch{w: w, limit: limit}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer = time.AfterFunc(watchEvery, m.look)
	return m
}

func (m *memoryWatch) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.done:
	case m.w.memory() > m.limit:
		m.w.kill(tooMuchMemory)
	default:
		m.timer.Reset(watchEvery)
	}
}

func (m *memoryWatch) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = true
	m.timer.Stop()
}
