package review

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/markdown"
)

const (
	maxRows    = 60  // of the table
	maxListed  = 20  // sentences of one list
	maxDiffed  = 300 // lines of the diff of one object
	maxSwapped = 3   // images in a cell
	// reserve is what the end of a comment, and the forge's own marker, may take of its characters.
	reserve = 1000
)

// markdown is the report as a comment of at most limit characters. What does not fit is left out, and named.
func (r report) markdown(limit int) string {
	at := fmt.Sprintf("at %.12s", r.Head)
	if r.Failure != "" {
		return fmt.Sprintf("**Fleet %s** %s: %s\n", markdown.Code(r.Fleet, maxName), at, markdown.Code(r.Failure, markdown.Sentence))
	}
	told := r.told()
	if len(told) == 0 && r.Left == 0 {
		return fmt.Sprintf("**Fleet %s** %s: nothing that is delivered changes (%s compared).\n", markdown.Code(r.Fleet, maxName), at, plural(len(r.Places), "place", "places"))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### What this changes in Fleet %s\n\n", markdown.Code(r.Fleet, maxName))
	fmt.Fprintf(&b, "Commit %.12s, compared with %.12s of %s: %s.\n\n", r.Head, r.Base, markdown.Code(r.Branch, maxName), r.gist())
	b.WriteString(table(told))
	b.WriteString(r.remarks(told))
	e := essay{left: limit - reserve - utf8.RuneCountInString(b.String())}
	b.WriteString(e.lists(told))
	b.WriteString(e.details(r.Environments, told))
	b.WriteString(e.omitted(r.Head))
	return b.String()
}

// table says of each place what happens to it.
func table(told []place) string {
	if len(told) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| Service | Environment | Objects | Images |\n|---|---|---|---|\n")
	for i, p := range told {
		if i == maxRows {
			fmt.Fprintf(&b, "| … | | %s more | |\n", plural(len(told)-maxRows, "place", "places"))
			break
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(p.Service), cell(p.Environment), p.happens(), p.swapped())
	}
	b.WriteByte('\n')
	return b.String()
}

// happens says in a few words what happens to the objects of a place.
func (p place) happens() string {
	var words []string
	switch p.Fate {
	case broken:
		words = append(words, "**cannot be rendered**")
	case unknown:
		words = append(words, "not compared")
	case added:
		words = append(words, "new")
	case removed:
		words = append(words, "**removed**")
	}
	made, changed, gone := p.counts()
	for _, n := range []struct {
		sign  string
		count int
	}{{"+", made}, {"~", changed}, {"−", gone}} {
		if n.count > 0 {
			words = append(words, fmt.Sprintf("%s%d", n.sign, n.count))
		}
	}
	if p.Fate == altered && len(p.Objects) == 0 {
		words = append(words, "how it is delivered")
	}
	if len(p.Refused) > 0 {
		words = append(words, fmt.Sprintf("**%d refused**", len(p.Refused)))
	}
	if len(p.Waits) > 0 {
		words = append(words, fmt.Sprintf("%d to confirm", len(p.Waits)))
	}
	if len(words) == 0 {
		return "as it is"
	}
	return strings.Join(words, ", ")
}

// swapped shows the images of a place that change.
func (p place) swapped() string {
	var parts []string
	for i, s := range p.Images {
		if i == maxSwapped {
			parts = append(parts, fmt.Sprintf("and %d more", len(p.Images)-maxSwapped))
			break
		}
		parts = append(parts, s.text())
	}
	return strings.Join(parts, "<br>")
}

// text shows an image by its last name.
func (s swap) text() string {
	return cell(s.Repository[strings.LastIndexByte(s.Repository, '/')+1:]) + " " + s.versions(cell)
}

// versions shows what comes in the place of what.
func (s swap) versions(show func(string) string) string {
	switch {
	case s.From == "":
		return "new: " + show(s.To)
	case s.To == "":
		return "no longer: " + show(s.From)
	}
	return show(s.From) + " → " + show(s.To)
}

// remarks say what the comparison did not do.
func (r report) remarks(told []place) string {
	var b strings.Builder
	if n := len(r.Places) - len(told); n > 0 {
		b.WriteString(plural(n, "other place that it may concern stays as it is", "other places that it may concern stay as they are") + ".\n\n")
	}
	if r.Left > 0 {
		fmt.Fprintf(&b, "%s not compared: there are too many, or they take too long.\n\n", plural(r.Left, "place was", "places were"))
	}
	if r.Fork {
		b.WriteString("It comes from a fork: no cluster was asked, and nothing was fetched that takes a credential.\n\n")
	} else if r.Untried > 0 {
		fmt.Fprintf(&b, "No cluster was asked about %s: there are too many, or what they need is not there yet.\n\n", plural(r.Untried, "object", "objects"))
	}
	return b.String()
}

// essay is the part of a comment that is as long as it may be.
type essay struct {
	left int // characters
	// lost are the places of which diffs were left out, and objects how many.
	lost    []string
	objects int
}

// lists tell what would go wrong, or wait.
func (e *essay) lists(told []place) string {
	var failed, refused, waits, unknowns []string
	for _, p := range told {
		say := func(text string) string {
			return markdown.Code(p.name(), maxName) + ": " + markdown.Code(text, markdown.Sentence)
		}
		switch p.Fate {
		case broken:
			failed = append(failed, say(p.Reason))
		case unknown:
			unknowns = append(unknowns, say(p.Reason))
		}
		for _, text := range p.Refused {
			refused = append(refused, say(text))
		}
		for _, text := range p.Waits {
			waits = append(waits, say(text))
		}
	}
	// Half of the room is for what is to be done.
	rest := e.left / 2
	e.left -= rest
	text := e.list("Cannot be rendered", failed) + e.list("Would be refused", refused) + e.list("Would wait for a person", waits) + e.list("Could not be compared", unknowns)
	e.left += rest
	return text
}

func (e *essay) list(title string, lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("**" + title + "**\n\n")
	for i, text := range lines {
		if text = "- " + text + "\n"; i == maxListed || !e.take(text) {
			fmt.Fprintf(&b, "- and %d more\n", len(lines)-i)
			break
		}
		b.WriteString(text)
	}
	b.WriteByte('\n')
	return b.String()
}

// details shows what happens in each environment.
func (e *essay) details(environments []v1alpha1.Environment, told []place) string {
	var b strings.Builder
	var shown []v1alpha1.Environment
	for _, env := range environments {
		if slices.ContainsFunc(told, func(p place) bool { return p.Environment == env.Name && p.detailed() }) {
			shown = append(shown, env)
		}
	}
	total := e.left
	for i, env := range shown {
		// What one environment does not need is there for those after it.
		e.left = total / (len(shown) - i)
		before := e.left
		b.WriteString(e.environment(env, slices.DeleteFunc(slices.Clone(told), func(p place) bool { return p.Environment != env.Name || !p.detailed() })))
		total -= before - e.left
	}
	e.left = total
	return b.String()
}

// detailed reports whether there is more to say of a place than the table and the lists do.
func (p place) detailed() bool { return len(p.Objects)+len(p.Images)+len(p.Notes) > 0 }

// take makes room for text, if there is room.
func (e *essay) take(text string) bool {
	n := utf8.RuneCountInString(text)
	if n > e.left {
		return false
	}
	e.left -= n
	return true
}

func (e *essay) environment(env v1alpha1.Environment, places []place) string {
	made, changed, gone := 0, 0, 0
	for _, p := range places {
		m, c, g := p.counts()
		made, changed, gone = made+m, changed+c, gone+g
	}
	head := fmt.Sprintf("<details><summary><b>%s</b>: %s, +%d ~%d −%d</summary>\n\n%s\n\n",
		env.Name, plural(len(places), "service", "services"), made, changed, gone, gates(env))
	const foot = "</details>\n\n"
	if !e.take(head + foot) {
		for _, p := range places {
			e.lose(p, len(p.Objects))
		}
		return ""
	}
	var b strings.Builder
	b.WriteString(head)
	for _, p := range places {
		b.WriteString(e.place(p))
	}
	b.WriteString(foot)
	return b.String()
}

func (e *essay) place(p place) string {
	head := fmt.Sprintf("**%s** in namespace %s of cluster %s: %s\n\n", markdown.Code(p.Service, maxName), markdown.Code(p.Namespace, maxName), markdown.Code(p.Cluster, maxName), p.happens())
	if jobs := p.jobs(); jobs != "" {
		head += jobs + "\n\n"
	}
	if len(p.Images) > 0 {
		for _, s := range p.Images[:min(len(p.Images), maxListed)] {
			head += "- image " + markdown.Code(s.Repository, maxName) + ": " + s.versions(func(version string) string { return markdown.Code(version, maxName) }) + "\n"
		}
		head += "\n"
	}
	for _, note := range p.Notes {
		head += "- " + markdown.Code(note, markdown.Sentence) + "\n"
	}
	if len(p.Notes) > 0 {
		head += "\n"
	}
	if !e.take(head) {
		e.lose(p, len(p.Objects))
		return ""
	}
	var b strings.Builder
	b.WriteString(head)
	lost := 0
	for _, o := range p.Objects {
		text := o.diff()
		if !e.take(text) {
			lost++
			continue
		}
		b.WriteString(text)
	}
	e.lose(p, lost)
	return b.String()
}

func (e *essay) lose(p place, objects int) {
	if objects > 0 {
		e.objects += objects
		e.lost = append(e.lost, p.name())
	}
}

// omitted says what was left out.
func (e *essay) omitted(head string) string {
	if e.objects == 0 {
		return ""
	}
	const most = 8
	names := make([]string, 0, most)
	for _, name := range e.lost[:min(len(e.lost), most)] {
		names = append(names, markdown.Code(name, maxName))
	}
	if more := len(e.lost) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("**Left out**, because a comment can hold no more: the diffs of %s of %s. All of it: %s\n",
		plural(e.objects, "object", "objects"), strings.Join(names, ", "), markdown.Code(fmt.Sprintf("sengu diff --revision %.12s", head), maxName))
}

// jobs says what is run around a place.
func (p place) jobs() string {
	var parts []string
	for _, of := range []struct {
		word  string
		names []string
	}{{"before it: Job", p.Before}, {"after it: Job", p.After}, {"checks:", p.Checks}} {
		if len(of.names) == 0 {
			continue
		}
		names := make([]string, 0, len(of.names))
		for _, name := range of.names {
			names = append(names, markdown.Code(name, maxName))
		}
		parts = append(parts, of.word+" "+strings.Join(names, ", "))
	}
	return strings.Join(parts, "; ")
}

// diff is how one object would differ.
func (o object) diff() string {
	before, after := line(o.Ref.String()), line(o.Ref.String())
	if o.Made {
		before = "/dev/null"
	}
	if o.Gone {
		after = "/dev/null"
	}
	lines := []string{"--- " + before, "+++ " + after}
	for i, l := range o.Lines {
		if i == maxDiffed {
			lines = append(lines, fmt.Sprintf("@@ %d more lines @@", len(o.Lines)-maxDiffed))
			break
		}
		if l.Op == manifest.Section {
			lines = append(lines, "@@ "+line(l.Text)+" @@")
			continue
		}
		lines = append(lines, string(rune(l.Op))+line(l.Text))
	}
	return markdown.Fenced("diff", lines) + "\n"
}

// gates says what stands before an environment. It says the rules, and not how they stand now: a comment that is as true
// tomorrow has not to be written again.
func gates(env v1alpha1.Environment) string {
	var parts []string
	add := func(format string, words ...any) { parts = append(parts, fmt.Sprintf(format, words...)) }
	if len(env.After) > 0 {
		add("after %s", codes(env.After))
	}
	if env.Approval != nil {
		text := plural(int(max(env.Approval.Required, 1)), "approval", "approvals")
		if len(env.Approval.Groups) > 0 {
			text += " of " + codes(env.Approval.Groups)
		}
		if env.Approval.NotAuthor {
			text += ", not by the author"
		}
		add("%s", text)
	}
	if len(env.Windows) > 0 {
		add("windows %s", codes(env.Windows))
	}
	if env.MaxConcurrent > 0 {
		add("%s at once", plural(int(env.MaxConcurrent), "service", "services"))
	}
	if env.Soak != nil && env.Soak.Duration > 0 {
		add("it soaks for %s", span(env.Soak.Duration))
	}
	if len(parts) == 0 {
		return "Gates: none."
	}
	return "Gates: " + strings.Join(parts, "; ") + "."
}

func codes(words []string) string {
	all := make([]string, 0, len(words))
	for _, word := range words[:min(len(words), maxListed)] {
		all = append(all, markdown.Code(word, maxName))
	}
	return strings.Join(all, ", ")
}

// span writes a duration without the units that are zero.
func span(d time.Duration) string {
	text := d.String()
	for _, zero := range []struct{ end, unit string }{{"m0s", "0s"}, {"h0m", "0m"}} {
		if strings.HasSuffix(text, zero.end) {
			text = strings.TrimSuffix(text, zero.unit)
		}
	}
	return text
}
