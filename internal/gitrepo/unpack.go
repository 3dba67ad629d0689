package gitrepo

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// fewObjects is up to how many objects of a pack become loose ones; more are kept as a pack.
const fewObjects = 100

// unpack gives a pack to git, which checks every object, and that everything that they name is here. Commits and trees
// are stored after what they name, so that a commit that is here is whole, also when this is killed in the middle.
func (r *Repository) unpack(ctx context.Context, pack io.Reader) error {
	return r.unpackInto(ctx, pack, nil)
}

// unpackInto is unpack with an environment that may say that objects are stored elsewhere.
func (r *Repository) unpackInto(ctx context.Context, pack io.Reader, env []string) error {
	var head [12]byte
	if _, err := io.ReadFull(pack, head[:]); err != nil {
		return err
	}
	if string(head[:4]) != "PACK" {
		return errNotGit
	}
	strict := "--strict=" + strings.Join(harmless, "=ignore,") + "=ignore"
	args := []string{"unpack-objects", "-q", strict}
	if binary.BigEndian.Uint32(head[8:]) > fewObjects {
		args = []string{"index-pack", "--stdin", "--fix-thin", strict}
	}
	source := &remembering{r: io.MultiReader(bytes.NewReader(head[:]), pack)}
	_, err := r.store.git(ctx, run{dir: r.dir, args: args, env: env, stdin: source})
	if broken := source.failed(); broken != nil {
		return broken // git only says that its input ended early
	}
	if err == nil {
		return nil
	}
	var ge *gitError
	if errors.As(err, &ge) && ctx.Err() == nil {
		switch reason := reasonOf(ge.stderr); {
		case strings.Contains(ge.stderr, "fsck error"), strings.Contains(ge.stderr, "error in object"):
			return fmt.Errorf("%w: %s", ErrRejected, lastLines(ge.stderr))
		case errors.Is(reason, ErrCorrupt):
			return fmt.Errorf("%w: %s", ErrCorrupt, lastLines(ge.stderr))
		}
	}
	return err
}

// remembering keeps the error of a reader, because the program that it feeds reports its own.
type remembering struct {
	r   io.Reader
	mu  sync.Mutex
	err error
}

func (m *remembering) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		m.mu.Lock()
		m.err = err
		m.mu.Unlock()
	}
	return n, err
}

func (m *remembering) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}
