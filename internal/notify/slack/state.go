package slack

import (
	"cmp"
	"slices"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
)

const (
	// maxReleases that a message remembers, and maxPlaces environments of each. The thread tells of the others.
	maxReleases, maxPlaces = 400, 32
	// maxTold is how many of the latest replies are remembered, so that none is sent again.
	maxTold = 128
	// maxWhy is how much is kept of a reason, in characters.
	maxWhy = 300
	// maxShown images.
	maxShown = 8
)

// message is what is remembered of one message: where it is and what it shows.
type message struct {
	// Channel is where it is as Slack says, and Route what the route named when it was posted; empty if posted by a Sengu
	// that did not keep it, and then they are the same.
	Channel string `json:"channel,omitempty"`
	Route   string `json:"route,omitempty"`
	TS      string `json:"ts,omitempty"`
	// Sending is what may have been sent although no answer came: "message", or the key of the event of a reply.
	Sending   string    `json:"sending,omitempty"`
	SendingAt time.Time `json:"sendingAt,omitzero"`
	// Shown is a hash of what the message shows.
	Shown string `json:"shown,omitempty"`
	// Told are keys of events that have a reply.
	Told []string `json:"told,omitempty"`

	Fleet    string   `json:"fleet"`
	Group    string   `json:"group,omitempty"`
	Revision string   `json:"revision,omitempty"`
	Title    string   `json:"title,omitempty"`
	Author   string   `json:"author,omitempty"`
	Link     string   `json:"link,omitempty"`
	Images   []string `json:"images,omitempty"`
	// Releases, and how many events were about others that there was no place for.
	Releases []*release `json:"releases"`
	More     bool       `json:"more,omitempty"`
}

// release is one Release in a message.
type release struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	// Ended is the kind of event that ended it.
	Ended  history.Kind `json:"ended,omitempty"`
	Why    string       `json:"why,omitempty"`
	At     time.Time    `json:"at,omitzero"`
	Places []*place     `json:"places,omitempty"`
}

// place is one environment of a Release.
type place struct {
	Environment string       `json:"environment"`
	State       history.Kind `json:"state,omitempty"`
	At          time.Time    `json:"at,omitzero"`
	By          string       `json:"by,omitempty"`
	Why         string       `json:"why,omitempty"`
	// Held since HeldAt; a hold is beside the state, which it does not end.
	Held    bool      `json:"held,omitempty"`
	HeldAt  time.Time `json:"heldAt,omitzero"`
	HeldWhy string    `json:"heldWhy,omitempty"`
}

// moveTo forgets where the message is if the route names another channel by now, so that the whole of it is posted there.
// The old one stays as it is: its buttons count no longer.
func (m *message) moveTo(channel string) {
	if was := cmp.Or(m.Route, m.Channel); was != "" && was != channel {
		m.Channel, m.Route, m.TS, m.Shown, m.Sending, m.SendingAt = "", "", "", "", "", time.Time{}
	}
}

// fold lets an event change what the message shows. Folding it again changes nothing, and nor does an event that is
// older than what the message shows of the environment.
func (m *message) fold(e history.Event, page string) {
	m.Fleet, m.Group = e.Fleet, e.Group
	for _, f := range []struct {
		to   *string
		from string
	}{{&m.Revision, e.Revision}, {&m.Title, e.Title}, {&m.Author, e.Author}, {&m.Link, page}} {
		// A rollback is about an older commit than the message.
		if *f.to == "" && e.Kind != history.RolledBack {
			*f.to = notify.Text(f.from, maxLink)
		}
	}
	if len(m.Images) == 0 && e.Kind != history.RolledBack && len(e.Images) > 0 {
		m.Images = images(e.Images)
	}
	r := m.release(e)
	if r == nil {
		m.More = true
		return
	}
	if e.Environment == "" {
		if !e.Time.Before(r.At) && ends(e.Kind) {
			r.Ended, r.At, r.Why = e.Kind, e.Time, notify.Text(e.Why, maxWhy)
		}
		return
	}
	if p := r.place(e.Environment); p != nil {
		p.fold(e)
	}
}

func ends(k history.Kind) bool {
	return k == history.Done || k == history.Failed || k == history.Superseded || k == history.Aborted
}

// find returns the Release of an event, or nil.
func (m *message) find(e history.Event) *release {
	for _, r := range m.Releases {
		if r.Name == e.Release && r.Service == e.Service {
			return r
		}
	}
	return nil
}

func (m *message) release(e history.Event) *release {
	if r := m.find(e); r != nil {
		return r
	}
	if len(m.Releases) >= maxReleases {
		return nil
	}
	r := &release{Service: e.Service, Name: e.Release}
	m.Releases = append(m.Releases, r)
	return r
}

func (r *release) place(environment string) *place {
	for _, p := range r.Places {
		if p.Environment == environment {
			return p
		}
	}
	if len(r.Places) >= maxPlaces {
		return nil
	}
	p := &place{Environment: environment}
	r.Places = append(r.Places, p)
	return p
}

func (p *place) fold(e history.Event) {
	switch e.Kind {
	case history.JobFinished, history.Created, history.Pinned, history.Unpinned:
		return
	case history.Held, history.Resumed:
		if !e.Time.Before(p.HeldAt) {
			p.Held, p.HeldAt, p.HeldWhy = e.Kind == history.Held, e.Time, notify.Text(e.Why, maxWhy)
		}
		return
	}
	if e.Time.Before(p.At) {
		return
	}
	why := notify.Text(e.Why, maxWhy)
	if why == "" && e.Kind == history.RolledBack {
		why = p.Why // what failed is why
	}
	p.State, p.At, p.By, p.Why = e.Kind, e.Time, notify.Text(e.By, maxWhy), why
}

func images(list []history.Image) []string {
	out := make([]string, 0, maxShown)
	for _, i := range list[:min(len(list), maxShown)] {
		name := i.Name
		switch {
		case i.Tag != "":
			name += ":" + i.Tag
		case i.Digest != "":
			name += "@" + notify.Text(i.Digest, 20)
		}
		if name = notify.Text(name, maxWhy); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// tell notes that an event has its reply.
func (m *message) tell(key string) {
	m.Sending, m.SendingAt = "", time.Time{}
	if m.Told = append(m.Told, key); len(m.Told) > maxTold {
		m.Told = slices.Clone(m.Told[len(m.Told)-maxTold:])
	}
}
