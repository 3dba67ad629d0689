package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sengu-dev/sengu/internal/render"
	"github.com/sengu-dev/sengu/internal/testenv"
)

const (
	// senguVariable and planeVariable name other programs than those in bin.
	senguVariable = "SENGU_BIN"
	planeVariable = "SENGU_LOCALPLANE"
	// keepVariable, when set, keeps what the run wrote.
	keepVariable = "SENGU_E2E_KEEP"
	// together is how many tests run at once, whatever the machine: each runs a whole Sengu.
	together = 2
)

// world is what all tests share: the programs, two control planes, and everything that Sengu says.
type world struct {
	// binary is the program under test.
	binary, localplane string
	dir                string
	evidence           *evidence
	// dev is where Sengu's objects live, and the cluster of the environment dev. prod is another cluster.
	dev, prod *plane
}

// shared is the world, made when a test first asks for it.
var shared struct {
	once sync.Once
	w    *world
	err  error
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == render.WorkerVerb { // of a server that runs in this process
		os.Exit(render.WorkerMain(os.Stdin, os.Stdout))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctrllog.SetLogger(logr.Discard()) // what the tests' own clients say helps nobody
	flag.Parse()
	if err := flag.Set("test.parallel", fmt.Sprint(min(together, runtime.GOMAXPROCS(0)))); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	code := m.Run()
	if shared.w == nil {
		return code
	}
	if err := shared.w.end(code != 0); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return code
}

// theWorld returns what the tests share.
func theWorld(t testing.TB) *world {
	t.Helper()
	shared.once.Do(func() { shared.w, shared.err = newWorld() })
	if shared.err != nil {
		t.Fatalf("e2e: %v", shared.err)
	}
	return shared.w
}

func newWorld() (*world, error) {
	w := &world{}
	var err error
	if w.binary, err = testenv.Program("sengu", "build", senguVariable); err != nil {
		return nil, err
	}
	if w.localplane, err = testenv.Program("localplane", "build", planeVariable); err != nil {
		return nil, err
	}
	if w.dir, err = os.MkdirTemp("", "sengu-e2e-"); err != nil {
		return nil, err
	}
	if w.evidence, err = newEvidence(filepath.Join(w.dir, "evidence")); err != nil {
		return w, err
	}
	w.dev = &plane{name: "dev", binary: w.localplane, dir: filepath.Join(w.dir, "dev"), nodes: 1}
	w.prod = &plane{name: "prod", binary: w.localplane, dir: filepath.Join(w.dir, "prod"), nodes: 1}
	var wait sync.WaitGroup
	errs := make([]error, 2)
	for i, p := range []*plane{w.dev, w.prod} {
		wait.Go(func() { errs[i] = errors.Join(p.start(), p.outfit(w.evidence)) })
	}
	wait.Wait()
	return w, errors.Join(errs...)
}

// end stops the control planes and judges what Sengu has said.
func (w *world) end(keep bool) error {
	var errs []error
	for _, p := range []*plane{w.dev, w.prod} {
		if p != nil {
			errs = append(errs, p.stop())
		}
	}
	if w.evidence != nil {
		errs = append(errs, w.evidence.judge())
	}
	if keep || os.Getenv(keepVariable) != "" || errors.Join(errs...) != nil {
		fmt.Fprintln(os.Stderr, "e2e: what was said is in", w.evidence.dir)
	} else {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}
