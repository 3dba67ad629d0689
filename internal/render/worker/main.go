package worker

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/sengu-dev/sengu/internal/render/wire"
)

// MemoryVariable is the environment variable in which the parent tells a worker how many bytes it may use.
const MemoryVariable = "SENGU_RENDER_MEMORY"

// maxJob bounds a frame from the parent, in bytes. The parent is trusted; the bound catches a broken stream.
const maxJob = 1 << 30

// Main runs a worker. It enters the sandbox before it reads anything, ends the process with code 0 when in ends, and
// returns a code when anything else keeps it from going on.
func Main(in io.Reader, out io.Writer) int {
	memory, err := strconv.Atoi(os.Getenv(MemoryVariable))
	if err != nil || memory <= 0 {
		memory = 512 << 20
	}
	debug.SetMemoryLimit(int64(memory))
	debug.SetMaxStack(64 << 20)
	os.Stdout = os.Stderr // a library that prints must not speak into the protocol
	log.SetOutput(io.Discard)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	http.DefaultTransport = transport{}
	if err := installHelmGenerator(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	missing, err := enterSandbox(memory)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	w := &conn{in: listen(in), out: out}
	hello, err := json.Marshal(missing)
	if err != nil {
		return 1
	}
	if err := wire.WriteFrame(out, wire.Hello, hello); err != nil {
		return 1
	}
	for {
		if err := w.serve(); err != nil {
			fmt.Fprintln(os.Stderr, "render worker: the connection to the parent broke")
			return 1
		}
	}
}

// frame is what came from the parent.
type frame struct {
	kind    wire.Kind
	payload []byte
	err     error
}

// listen reads from the parent all the time, and ends the process when the parent is gone, also in the middle of a
// job that never would: a killed parent leaves no worker behind.
func listen(in io.Reader) <-chan frame {
	frames := make(chan frame)
	go func() {
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			k, b, err := wire.ReadFrame(r, maxJob)
			if errors.Is(err, io.EOF) {
				os.Exit(0)
			}
			frames <- frame{k, b, err}
			if err != nil {
				return
			}
		}
	}()
	return frames
}

// conn is the connection to the parent.
type conn struct {
	in  <-chan frame
	out io.Writer
}

// serve does one job.
func (c *conn) serve() error {
	f := <-c.in
	if f.err != nil {
		return f.err
	}
	if f.kind != wire.Job {
		return fmt.Errorf("expected a job, got frame %d", f.kind)
	}
	r := wire.NewReader(f.payload)
	var p wire.Params
	if err := json.Unmarshal(r.Data(), &p); err != nil {
		return err
	}
	j := &job{Params: p, vfs: newVFS(p.FileLimit, c.ask), conn: c}
	j.vfs.kustomization = j.kustomizationFile
	if r.Uint() == 1 {
		j.vfs.preload(p.Path, r.Entries())
	}
	if err := r.Err(); err != nil {
		return err
	}
	running = j
	defer func() { running = nil }()
	if err := j.guard(); err != nil {
		return c.fail(p.Path, err)
	}
	var b wire.Buffer
	j.out.Append(&b)
	return wire.WriteFrame(c.out, wire.Result, b.Bytes())
}

func (c *conn) fail(file string, err error) error {
	f, ok := asFault(err)
	if !ok {
		f = faultf(file, 0, "%s cannot be rendered: %s", file, firstLine(err.Error()))
	}
	b, err := json.Marshal(f.Fault)
	if err != nil {
		return err
	}
	return wire.WriteFrame(c.out, wire.Failure, b)
}

// ask sends a question to the parent and waits for the answer.
func (c *conn) ask(k wire.Kind, payload []byte) (*wire.Reader, wire.Status, error) {
	if err := wire.WriteFrame(c.out, k, payload); err != nil {
		return nil, 0, fmt.Errorf("ask the parent: %w", err)
	}
	f := <-c.in
	if f.err != nil {
		return nil, 0, fmt.Errorf("ask the parent: %w", f.err)
	}
	if f.kind != wire.Reply || len(f.payload) == 0 {
		return nil, 0, fmt.Errorf("ask the parent: unexpected frame %d", f.kind)
	}
	return wire.NewReader(f.payload[1:]), wire.Status(f.payload[0]), nil
}

// job is one render.
type job struct {
	wire.Params
	vfs  *vfs
	conn *conn
	out  wire.Output
	size int

	kustomizations     []kustomization
	seenKustomizations map[string][]byte // file → text that kustomize reads
	urls               map[string][]byte // what was fetched
}

// guard runs the job and turns a panic of a library into a fault. The value of the panic is not shown: it may quote
// what was rendered.
func (j *job) guard() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = faultf(j.Path, 0, "%s makes the renderer panic: look for a null or a value of another type than expected", j.Path)
		}
	}()
	return j.run()
}

// run finds out what kind of source the job has and renders it.
func (j *job) run() error {
	dir := path.Clean(j.Path)
	if j.Chart != nil {
		return j.helm(dir)
	}
	n, err := j.vfs.lookup(dir)
	if err != nil {
		return err
	}
	if n == nil {
		return faultf(dir, 0, "%s does not exist in this revision", dir)
	}
	if !n.dir {
		return faultf(dir, 0, "%s is a file: a source is a folder", dir)
	}
	name, err := j.kustomizationIn(dir)
	if err != nil {
		return err
	}
	if name != "" {
		return j.kustomize(dir)
	}
	n, err = j.vfs.lookup(join(dir, "Chart.yaml"))
	if err != nil {
		return err
	}
	if n != nil && !n.dir {
		return j.helm(dir)
	}
	return j.plain(dir)
}

// add takes an object into the output.
func (j *job) add(origin string, js []byte) error {
	if j.size += len(js); j.size > j.OutputLimit {
		return faultf(j.Path, 0, "%s renders to more than %d MiB: split it into several Apps", j.Path, j.OutputLimit>>20)
	}
	j.out.Objects = append(j.out.Objects, wire.Object{Origin: origin, JSON: js})
	return nil
}

// warn adds a warning, each only once.
func (j *job) warn(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	for _, old := range j.out.Warnings {
		if old == w {
			return
		}
	}
	j.out.Warnings = append(j.out.Warnings, w)
}

func join(dir, name string) string { return strings.TrimPrefix(path.Join(dir, name), "./") }
