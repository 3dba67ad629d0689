package tracker

import (
	"sync"
	"time"

	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/registry"
)

// state is what is kept in mind of one Fleet. All of it can be found out again.
type state struct {
	// mail is what has arrived since the last Reconcile.
	mail mail

	// mu is held by the Reconcile of the Fleet, and by whoever asks what was found.
	mu sync.Mutex
	// head and generation are those of the branch and of the Fleet that readings are of.
	head       string
	generation int64
	// atlas holds the services of the branch, and readers which of them have read what.
	atlas   origin.Atlas
	readers origin.Readers
	// readings are what services say that they track, by service, and writers the services that write to a place.
	readings map[string]reading
	writers  map[scribe.Place]map[string]bool
	// slots are what is followed, by where it is written, and subjects the repositories that are asked for it.
	slots    map[scribe.Place]*slot
	subjects map[string]*subject
	// pasts are what the Releases of services tell, by service, and stale the services of which something is new.
	pasts map[string]past
	stale map[string]bool
	// told are the sentences that people were told, by what they are about, and events when the last were.
	told   map[string]string
	events []time.Time

	// writing is true while something is pushed. Nothing else is before writeAfter, and writeFailures counts the pushes that
	// failed one after the other.
	writing       bool
	writeAfter    time.Time
	writeFailures int
}

func newState() *state {
	return &state{
		readings: map[string]reading{}, writers: map[scribe.Place]map[string]bool{},
		slots: map[scribe.Place]*slot{}, subjects: map[string]*subject{}, pasts: map[string]past{}, stale: map[string]bool{}, told: map[string]string{},
	}
}

// mail is what others tell a Reconcile. The zero value is empty.
type mail struct {
	mu     sync.Mutex
	inside letters
}

type letters struct {
	// seen are looks that have ended, and wrote the pushes.
	seen  []sighted
	wrote []wrote
	// pushed are the tags that were announced, by repository.
	pushed map[string][]string
	// services are those whose Releases have changed.
	services map[string]bool
	// retry is true if what failed may succeed now.
	retry bool
}

// maxTags bounds how many announced tags of a repository are kept.
const maxTags = 100

func (m *mail) take() letters {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.inside
	m.inside = letters{}
	return taken
}

func (m *mail) see(s sighted) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inside.seen = append(m.inside.seen, s)
}

func (m *mail) write(w wrote) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inside.wrote = append(m.inside.wrote, w)
}

func (m *mail) service(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inside.services == nil {
		m.inside.services = map[string]bool{}
	}
	m.inside.services[name] = true
}

func (m *mail) retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inside.retry = true
}

func (m *mail) announce(pushes []registry.Push) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inside.pushed == nil {
		m.inside.pushed = map[string][]string{}
	}
	for _, p := range pushes {
		tags := m.inside.pushed[p.Repository]
		if p.Tag != "" && len(tags) < maxTags {
			tags = append(tags, p.Tag)
		}
		m.inside.pushed[p.Repository] = tags
	}
}

// Look is what is known of one image that a Fleet follows.
type Look struct {
	// Service and Environments that it is written for, into the Place.
	Service      string
	Environments []string
	Place        scribe.Place
	// Image is its name in sengu.yaml, Repository where it is looked for.
	Image, Repository string
	// Written is the tag and the digest that Git says, Wanted what it is to say, the zero Reference if there is no choice.
	Written, Wanted image.Reference
	// Why is one sentence on the choice, and Problem one on what keeps it from being made or written, "" for nothing.
	Why, Problem string
	// At is when the registry was last read, and Next when it is read again.
	At, Next time.Time
}
