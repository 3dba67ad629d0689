package slack

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/sengu-dev/sengu/internal/history"
)

// What Slack takes at most, in characters and in blocks.
const (
	limitHeader  = 150
	limitSection = 3000
	limitValue   = 2000
	limitAction  = 255
)

const (
	maxLines   = 30 // environments that a message lists
	maxListed  = 60 // services that the message of a group lists
	maxApprove = 4  // buttons to approve
	// nothing is shown where there is nothing to show, because Slack takes no empty text.
	nothing = "Sengu"
)

// rendered is what is posted.
type rendered struct {
	text   string // for notifications and screen readers
	blocks []slackgo.Block
}

// words are how a state is shown.
var words = map[history.Kind]struct{ mark, word string }{
	history.Created:     {":package:", "made"},
	history.Waiting:     {":hourglass_flowing_sand:", "waiting"},
	history.Approved:    {":ballot_box_with_check:", "approved"},
	history.Promoted:    {":ballot_box_with_check:", "promoted past its gates"},
	history.Started:     {":arrows_counterclockwise:", "running"},
	history.Verifying:   {":mag:", "verifying"},
	history.JobFinished: {":gear:", "job finished"},
	history.Done:        {":white_check_mark:", "done"},
	history.Passed:      {":fast_forward:", "passed, it renders the same"},
	history.Failed:      {":x:", "failed"},
	history.RolledBack:  {":leftwards_arrow_with_hook:", "rolled back"},
	history.Superseded:  {":no_entry_sign:", "superseded"},
	history.Aborted:     {":octagonal_sign:", "aborted"},
	history.Held:        {":raised_hand:", "held"},
	history.Resumed:     {":arrow_forward:", "resumed"},
	history.Pinned:      {":pushpin:", "pinned"},
	history.Unpinned:    {":pushpin:", "unpinned"},
}

func mark(k history.Kind) string {
	if w, ok := words[k]; ok {
		return w.mark
	}
	return ":information_source:"
}

func word(k history.Kind) string {
	if w, ok := words[k]; ok {
		return w.word
	}
	return escape(string(k), 40)
}

// render draws a message.
func (m *message) render() rendered {
	if len(m.Releases) > 1 || m.More {
		return m.renderGroup()
	}
	r := &release{}
	if len(m.Releases) == 1 {
		r = m.Releases[0]
	}
	title := r.Service
	if m.Title != "" {
		title += ": " + m.Title
	}
	wait, text := m.waitsFor()
	if r.Ended != "" {
		text = ended(r.Ended)
	}
	out := rendered{text: summary(escape(title, 200), text)}
	out.blocks = append(out.blocks, header(title), section(m.origin(r.Name)))
	var lines []string
	for _, p := range r.Places {
		lines = append(lines, p.line(r.Ended))
	}
	if r.Ended != "" {
		lines = append(lines, because(mark(r.Ended)+" The Release is "+ended(r.Ended), r.Why))
	}
	out.lines(lines, maxLines, 2, "environments")
	if wait != "" {
		out.blocks = append(out.blocks, section(wait))
	}
	if len(m.Images) > 0 {
		var names []string
		for _, i := range m.Images {
			names = append(names, escape(i, 200))
		}
		shown, _ := pages(names, limitSection, 1)
		out.blocks = append(out.blocks, slackgo.NewContextBlock("", mrkdwn(shown[0])))
	}
	out.buttons(m.buttons())
	return out
}

func (m *message) renderGroup() rendered {
	count := fmt.Sprintf("%d services", len(m.Releases))
	if m.More {
		count = "more than " + count
	}
	title := count
	if m.Title != "" {
		title += ": " + m.Title
	}
	wait, text := m.waitsFor()
	out := rendered{text: summary(escape(title, 200), text)}
	out.blocks = append(out.blocks, header(title), section(m.origin(m.Group)))
	out.lines(m.tally(), maxLines, 2, "environments")
	out.blocks = append(out.blocks, slackgo.NewDividerBlock())
	lines := make([]string, 0, len(m.Releases))
	for _, r := range m.urgent() {
		lines = append(lines, r.line())
	}
	out.lines(lines, maxListed, 5, "services")
	if wait != "" {
		out.blocks = append(out.blocks, section(wait))
	}
	out.buttons(m.buttons())
	return out
}

// origin is the line that says which commit it is and whose.
func (m *message) origin(name string) string {
	var parts []string
	if m.Revision != "" {
		parts = append(parts, link(m.Link, "`"+escape(m.Revision[:min(len(m.Revision), 7)], 7)+"`"))
	}
	if m.Author != "" {
		parts = append(parts, "by "+escape(m.Author, 100))
	}
	parts = append(parts, "fleet "+escape(m.Fleet, 60))
	if name != "" {
		parts = append(parts, escape(name, 100))
	}
	return strings.Join(parts, "  ·  ")
}

// line shows an environment of a Release, which may have ended before it got through.
func (p *place) line(end history.Kind) string {
	var b strings.Builder
	state := mark(p.shown())
	words := word(p.State)
	switch {
	case p.Held && words != "":
		words = "held, " + words
	case p.Held:
		words = "held"
	case (end == history.Superseded || end == history.Aborted) && active(p.State):
		state, words = mark(end), "was "+words
	}
	b.WriteString(state + "  *" + escape(p.Environment, 60) + "*  " + words)
	if p.By != "" && p.By != "sengu" {
		b.WriteString(" by " + escape(p.By, 80))
	}
	if !p.At.IsZero() {
		b.WriteString("  ·  " + date(p.At))
	}
	return b.String()
}

func ended(k history.Kind) string {
	switch k {
	case history.Done:
		return "through"
	case history.Failed:
		return "stopped"
	}
	return word(k)
}

// line shows a Release of a group.
func (r *release) line() string {
	worst, places := r.worst(), []string{}
	for _, p := range r.Places {
		if p.State != "" || p.Held {
			places = append(places, escape(p.Environment, 60)+" "+word(p.shown()))
		}
	}
	switch {
	case r.Ended != "":
		places = []string{ended(r.Ended)}
	case len(places) == 0:
		places = []string{word(history.Created)}
	}
	return mark(worst) + "  *" + escape(r.Service, 60) + "*  " + strings.Join(places[:min(len(places), 8)], "  ·  ")
}

func (p *place) shown() history.Kind {
	if p.Held {
		return history.Held
	}
	return p.State
}

// urgency orders states: what needs a person comes first.
var urgency = []history.Kind{
	history.Failed, history.Held, history.RolledBack, history.Waiting, history.Promoted, history.Verifying, history.Started,
	history.Approved, history.Done, history.Passed, history.Aborted, history.Superseded, history.Created,
}

func rank(k history.Kind) int {
	if i := slices.Index(urgency, k); i >= 0 {
		return i
	}
	return len(urgency)
}

// worst is the most urgent state of a Release.
func (r *release) worst() history.Kind {
	if r.Ended != "" {
		return r.Ended
	}
	worst := history.Created
	for _, p := range r.Places {
		if k := p.shown(); rank(k) < rank(worst) {
			worst = k
		}
	}
	return worst
}

// urgent are the Releases of a group, what needs a person first.
func (m *message) urgent() []*release {
	return slices.SortedStableFunc(slices.Values(m.Releases), func(a, b *release) int {
		return cmp.Or(cmp.Compare(rank(a.worst()), rank(b.worst())), strings.Compare(a.Service, b.Service))
	})
}

// tally counts the states of each environment over a group.
func (m *message) tally() []string {
	var environments []string
	counts := map[string]map[history.Kind]int{}
	for _, r := range m.Releases {
		for _, p := range r.Places {
			if counts[p.Environment] == nil {
				counts[p.Environment] = map[history.Kind]int{}
				environments = append(environments, p.Environment)
			}
			counts[p.Environment][p.shown()]++
		}
	}
	lines := make([]string, 0, len(environments))
	for _, e := range environments {
		var parts []string
		first := history.Kind("")
		for _, k := range urgency {
			if n := counts[e][k]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, word(k)))
				first = cmp.Or(first, k)
			}
		}
		lines = append(lines, mark(first)+"  *"+escape(e, 60)+"*  "+strings.Join(parts, "  ·  "))
	}
	return lines
}

// waitsFor is the one thing that a message waits for, with and without format: the most urgent, and of those the latest.
func (m *message) waitsFor() (formatted, text string) {
	var of *release
	var at *place
	for _, r := range m.Releases {
		if r.Ended != "" {
			continue
		}
		for _, p := range r.Places {
			k := p.shown()
			if rank(k) > rank(history.Waiting) {
				continue
			}
			if at == nil || rank(k) < rank(at.shown()) || rank(k) == rank(at.shown()) && p.At.After(at.At) {
				of, at = r, p
			}
		}
	}
	if at == nil {
		return "", ""
	}
	who := escape(at.Environment, 60)
	if len(m.Releases) > 1 {
		who = escape(of.Service, 60) + " in " + who
	}
	switch why := escape(at.Why, maxWhy); at.shown() {
	case history.Held:
		return because("*Held:* "+who, at.HeldWhy), who + " is held"
	case history.Failed:
		return because("*Failed:* "+who, at.Why), who + " failed"
	case history.RolledBack:
		return because("*Rolled back:* "+who, at.Why), who + " was rolled back"
	default:
		if why == "" {
			return "*Waits for:* somebody to let it into " + who, who + " waits"
		}
		return "*Waits for:* " + who + ": " + why, who + " waits: " + why
	}
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + escape(why, maxWhy)
}

func summary(title, state string) string {
	if state != "" {
		title += " – " + state
	}
	return title
}

// reply draws the reply about one event, which names the service unless the whole thread is about one. The message of
// an event that belongs to no Release looks the same.
func reply(e history.Event, named bool) rendered {
	what := escape(e.Service, 60)
	switch {
	case e.Environment != "" && named:
		what += " in " + escape(e.Environment, 60)
	case e.Environment != "":
		what = escape(e.Environment, 60)
	}
	state := word(e.Kind)
	if e.By != "" && e.By != "sengu" {
		state += " by " + escape(e.By, 80)
	}
	line := mark(e.Kind) + "  "
	if e.Loud {
		line += ":rotating_light:  "
	}
	return rendered{
		text:   because(what+": "+state, e.Why),
		blocks: []slackgo.Block{section(because(line+"*"+what+"*  "+state, e.Why))},
	}
}

// lines adds lines of text, in a few blocks, and says how many there was no place for.
func (r *rendered) lines(lines []string, most, blocks int, what string) {
	left := max(len(lines)-most, 0)
	texts, more := pages(lines[:len(lines)-left], limitSection, blocks)
	for _, t := range texts {
		r.blocks = append(r.blocks, section(t))
	}
	if left += more; left > 0 {
		r.blocks = append(r.blocks, slackgo.NewContextBlock("", mrkdwn(fmt.Sprintf("and %d more %s", left, what))))
	}
}

func (r *rendered) buttons(buttons []slackgo.BlockElement) {
	if len(buttons) > 0 {
		r.blocks = append(r.blocks, slackgo.NewActionBlock("", buttons...))
	}
}

func header(text string) slackgo.Block {
	return slackgo.NewHeaderBlock(slackgo.NewTextBlockObject(slackgo.PlainTextType, cmp.Or(plain(text, limitHeader), nothing), false, false))
}

func section(text string) slackgo.Block {
	return slackgo.NewSectionBlock(mrkdwn(cmp.Or(text, nothing)), nil, nil)
}

// mrkdwn is text that Slack formats and otherwise leaves alone: verbatim, it makes no links and mentions of its own.
func mrkdwn(text string) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.MarkdownType, text, false, true)
}
