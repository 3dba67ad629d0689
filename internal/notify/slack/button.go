package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/sengu-dev/sengu/internal/history"
)

// Verb is what a button does.
type Verb string

// The verbs.
const (
	Approve  Verb = "approve"
	Hold     Verb = "hold"
	RollBack Verb = "rollback"
)

// target is what a button is about, as its value carries it.
type target struct {
	Fleet       string `json:"f"`
	Service     string `json:"s,omitempty"`
	Release     string `json:"r,omitempty"`
	Group       string `json:"g,omitempty"`
	Environment string `json:"e"`
}

const actionPrefix = "sengu."

// buttons are those that make sense now. In a group they are about all of its Releases, and there is none that rolls
// back, since that is decided service by service.
func (m *message) buttons() []slackgo.BlockElement {
	group := len(m.Releases) > 1 || m.More
	what := "it"
	if group {
		what = "all of them"
	}
	waiting, current, changed := m.focus()
	var out []slackgo.BlockElement
	add := func(verb Verb, label string, style slackgo.Style, r *release, environment, question string) {
		t := target{Fleet: m.Fleet, Service: r.Service, Release: r.Name, Group: m.Group, Environment: environment}
		if group {
			t.Service, t.Release = "", ""
		}
		if b := button(verb, label, style, t, question); b != nil {
			out = append(out, b)
		}
	}
	for _, at := range waiting[:min(len(waiting), maxApprove)] {
		add(Approve, "Approve "+at.environment, slackgo.StylePrimary, at.release, at.environment, "Let "+what+" into "+at.environment+"?")
	}
	if current.release != nil {
		add(Hold, "Hold "+current.environment, slackgo.StyleDefault, current.release, current.environment,
			"Let nothing more into "+current.environment+" until somebody resumes it?")
	}
	if changed.release != nil && !group {
		add(RollBack, "Roll back "+changed.environment, slackgo.StyleDanger, changed.release, changed.environment,
			"Bring "+changed.environment+" back to what ran there before?")
	}
	return out
}

// spot is one environment of one Release.
type spot struct {
	release     *release
	environment string
}

// focus finds the environments that wait for an approval, each once; the one that is busy now, which can be held; and the
// one that was changed last, which can be rolled back. Times are whole seconds, and of two in the same one the later in the
// order in which they came counts.
func (m *message) focus() (waiting []spot, current, changed spot) {
	var busy, latest *place
	seen := map[string]bool{}
	for _, r := range m.Releases {
		if r.Ended == history.Superseded || r.Ended == history.Aborted {
			continue
		}
		for _, p := range r.Places {
			if p.State == history.Waiting && !p.Held && r.Ended == "" && !seen[p.Environment] {
				seen[p.Environment] = true
				waiting = append(waiting, spot{r, p.Environment})
			}
			if active(p.State) && !p.Held && (busy == nil || !p.At.Before(busy.At)) {
				busy, current = p, spot{r, p.Environment}
			}
			if touched(p.State) && (latest == nil || !p.At.Before(latest.At)) {
				latest, changed = p, spot{r, p.Environment}
			}
		}
	}
	if latest != nil && (latest.State == history.Failed || latest.State == history.RolledBack) {
		changed = spot{} // it goes back by itself, or has
	}
	return waiting, current, changed
}

// touched reports whether an environment in a state has been changed.
func touched(k history.Kind) bool {
	switch k {
	case history.Started, history.Verifying, history.Done, history.Failed, history.RolledBack:
		return true
	}
	return false
}

func active(k history.Kind) bool {
	switch k {
	case history.Waiting, history.Approved, history.Promoted, history.Started, history.Verifying:
		return true
	}
	return false
}

// button makes one, or nil if the names are too long for Slack: then there is the command line.
func button(verb Verb, label string, style slackgo.Style, t target, question string) slackgo.BlockElement {
	value, err := json.Marshal(t)
	id := actionPrefix + string(verb) + ":" + t.Environment
	if err != nil || len(value) > limitValue || len(id) > limitAction {
		return nil
	}
	text := func(s string, most int) *slackgo.TextBlockObject {
		return slackgo.NewTextBlockObject(slackgo.PlainTextType, plain(s, most), false, false)
	}
	b := slackgo.NewButtonBlockElement(id, string(value), text(label, 75)).WithStyle(style)
	return b.WithConfirm(slackgo.NewConfirmationBlockObject(
		text("Are you sure?", 100), text(question, 300), text("Yes", 30), text("No", 30)))
}

// name is how a button may spell what it is about.
var name = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._:/-]{0,251}[A-Za-z0-9])?$`)

// parseButton reads what a button carries. It was posted by us and comes back through Slack, and is checked all the same.
func parseButton(id, value string) (Verb, target, error) {
	var t target
	verb, _, _ := strings.Cut(strings.TrimPrefix(id, actionPrefix), ":")
	switch {
	case !strings.HasPrefix(id, actionPrefix):
		return "", t, errors.New("the button is not one of Sengu's")
	case Verb(verb) != Approve && Verb(verb) != Hold && Verb(verb) != RollBack:
		return "", t, errors.New("the button does something that this version of Sengu does not know")
	case len(value) > limitValue || json.Unmarshal([]byte(value), &t) != nil:
		return "", t, errors.New("the button does not say what it is about")
	}
	for _, f := range []struct {
		field, text string
		needed      bool
	}{
		{"fleet", t.Fleet, true}, {"environment", t.Environment, true}, {"service", t.Service, false},
		{"release", t.Release, t.Group == ""}, {"group", t.Group, false},
	} {
		if f.text == "" && !f.needed {
			continue
		}
		if !name.MatchString(f.text) {
			return "", t, fmt.Errorf("the button does not name its %s", f.field)
		}
	}
	return Verb(verb), t, nil
}
