package gitrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options of a Store. The zero value is usable.
type Options struct {
	// AllowFile allows file:// URLs and absolute local paths.
	AllowFile bool
	// AllowHTTP allows http:// URLs to hosts other than loopback.
	AllowHTTP bool
	// FetchTimeout bounds one fetch, the first one included, and one push; 10 minutes when zero.
	FetchTimeout time.Duration
	// ReadTimeout bounds one request to a reading process; 30 seconds when zero.
	ReadTimeout time.Duration
	// IdleTimeout is how long a reading process may wait for work before it is let go; 20 seconds when zero.
	IdleTimeout time.Duration
	// MaxBlob is the largest file that is loaded into memory, in bytes; 32 MiB when zero.
	MaxBlob int64
	// MaxPack is the largest pack that is accepted from a remote, in bytes; 4 GiB when zero.
	MaxPack int64
	// CacheBytes bounds the cache of trees and small files, which all repositories share; 16 MiB when zero.
	CacheBytes int64
	// Readers bounds the reading processes of one repository; 2 when zero.
	Readers int
	// Fetches bounds the fetches and pushes that run at a time in the whole Store; 4 when zero.
	Fetches int
	// WriteTries is how often a write is tried when the branch moves meanwhile; 20 when zero.
	WriteTries int
	// Wait waits between two tries, and returns early with the cause when ctx ends; a timer when nil.
	Wait func(ctx context.Context, d time.Duration) error
	// SeenLimit is how many heads that left their branch are kept without Retain; 1,000 when zero.
	SeenLimit int
	// Submodule opens a submodule of any tree. Nil means: only where the tree is [Tree.Reaching].
	Submodule SubmoduleFunc
	// SameHostSubmodules follows a submodule of the same scheme and host as its parent, with the credential that the
	// parent was last fetched with. It is for who shows what is read to nobody else, as whoever may write to a repository
	// reads every other one of its host by that.
	SameHostSubmodules bool
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger gets repairs and maintenance; none when nil. It never gets a credential.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	duration := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	bytes := func(n *int64, v int64) {
		if *n <= 0 {
			*n = v
		}
	}
	number := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	duration(&o.FetchTimeout, 10*time.Minute)
	duration(&o.ReadTimeout, 30*time.Second)
	duration(&o.IdleTimeout, 20*time.Second)
	bytes(&o.MaxBlob, 32<<20)
	bytes(&o.MaxPack, 4<<30)
	bytes(&o.CacheBytes, 16<<20)
	number(&o.Readers, 2)
	number(&o.Fetches, 4)
	number(&o.SeenLimit, 1000)
	number(&o.WriteTries, 20)
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store keeps one bare mirror per remote URL below a directory. It is safe for concurrent use. One process at a time
// has a directory.
type Store struct {
	dir     string
	opts    Options
	gitPath string
	lock    *os.File
	cache   *cache
	fetches chan struct{}
	tokens  tokenCache
	clients clientCache

	ctx    context.Context //nolint:containedctx // ends with Close, not with a call; for maintenance and idle timers
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	repos  map[string]*Repository
	closed bool
}

// oldestGit is the first version of git that has everything that is used here: cat-file --batch-command.
var oldestGit = [2]int{2, 36}

// Open takes the directory, makes it when it is missing, and clears what a killed process left behind: lock files,
// temporary keys and half-received packs. It fails when another process has the directory, or git is missing or older
// than 2.36.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	gitPath, err := findGit()
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open git store: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return nil, fmt.Errorf("open git store: %w", err)
	}
	lock, err := lockDir(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("open git store %s: %w", dir, err)
	}
	s := &Store{
		dir: dir, opts: opts, gitPath: gitPath, lock: lock, cache: newCache(opts.CacheBytes),
		fetches: make(chan struct{}, opts.Fetches), repos: map[string]*Repository{},
	}
	s.tokens.now, s.clients.opts = opts.Now, opts
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.sweep(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("open git store %s: %w", dir, err)
	}
	return s, nil
}

var versionText = regexp.MustCompile(`git version (\d+)\.(\d+)`)

func findGit() (string, error) {
	p, err := exec.LookPath("git")
	if err != nil {
		return "", fmt.Errorf("the git program is not installed or not in PATH: install git 2.36 or newer")
	}
	out, err := exec.Command(p, "version").Output() //nolint:gosec,noctx // the git of PATH prints its version and ends; Open has no context
	if err != nil {
		return "", fmt.Errorf("run git version: %w", err)
	}
	m := versionText.FindStringSubmatch(string(out))
	if m == nil {
		return "", fmt.Errorf("git version printed %q", out)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major < oldestGit[0] || major == oldestGit[0] && minor < oldestGit[1] {
		return "", fmt.Errorf("git %d.%d is too old: install git %d.%d or newer", major, minor, oldestGit[0], oldestGit[1])
	}
	return p, nil
}

// sweep removes what only a killed process can have left, since this one holds the directory.
func (s *Store) sweep() error {
	tmp := filepath.Join(s.dir, "tmp")
	entries, err := os.ReadDir(tmp)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(tmp, e.Name())); err != nil {
			return err
		}
	}
	replaced, err := filepath.Glob(filepath.Join(s.dir, "*.git"+next))
	if err != nil {
		return err
	}
	for _, dir := range replaced {
		if err := finishReplace(dir); err != nil {
			return err
		}
	}
	mirrors, err := filepath.Glob(filepath.Join(s.dir, "*.git"))
	if err != nil {
		return err
	}
	for _, m := range mirrors {
		sweepMirror(m)
	}
	return nil
}

// Close stops every reading process and all maintenance, waits for them and gives the directory back.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	repos := s.repos
	s.repos = nil
	s.mu.Unlock()
	s.cancel()
	for _, r := range repos {
		r.readers.close()
	}
	s.wg.Wait()
	s.clients.close()
	return s.lock.Close()
}

// background runs f until it returns, unless the Store is closed; Close waits for it.
func (s *Store) background(f func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		f(s.ctx)
	}()
}

// Repository gives the mirror of a URL, which may have nothing in it yet. It talks to nobody. Repositories of the same
// URL are one: whoever may read what was fetched is for the caller to decide.
func (s *Store) Repository(url string) (*Repository, error) {
	rem, err := parseURL(url, s.opts)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if r, ok := s.repos[url]; ok {
		return r, nil
	}
	r := &Repository{
		store: s, remote: rem, dir: filepath.Join(s.dir, mirrorName(rem)),
		fetching: make(chan struct{}, 1), writes: writes{turn: make(chan struct{}, 1)},
	}
	r.readers = newReaders(r, s.opts.Readers)
	s.repos[url] = r
	return r, nil
}

var notInName = regexp.MustCompile(`[^a-z0-9.]+`)

// mirrorName is a folder that a person can recognise and that is different for every URL.
func mirrorName(rem remote) string {
	readable := strings.Trim(notInName.ReplaceAllString(strings.ToLower(rem.host+"-"+strings.TrimSuffix(rem.path, ".git")), "-"), "-.")
	if len(readable) > 80 {
		readable = readable[len(readable)-80:]
	}
	sum := sha256.Sum256([]byte(rem.raw))
	return readable + "-" + hex.EncodeToString(sum[:8]) + ".git"
}

// clientCache keeps one HTTP client for each CA bundle, so that connections to a forge are reused.
type clientCache struct {
	opts Options
	mu   sync.Mutex
	byCA map[string]*http.Client
}

var errBadCA = errors.New("the key caFile of the Git Secret holds no certificate in PEM")
