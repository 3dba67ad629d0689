package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/markdown"
	"github.com/sengu-dev/sengu/internal/release"
)

// branch is where the change of an environment is proposed. There is one for each service and environment, so that a
// newer change takes the place of an older one in the same pull request.
func (c change) branch() string {
	name := fmt.Sprintf("sengu/%s/%s/%s", c.fleet.Name, c.release.Spec.Service, c.env.Name)
	if c.revert() {
		name += "-back"
	}
	return name
}

// proposing is what a change is proposed with.
type proposing struct {
	repository *gitrepo.Repository
	auth       gitrepo.Auth
	draft      gitrepo.Draft
	// running are the images that the environment runs now.
	running []v1alpha1.WantedImage
}

// pullRequest proposes a change: a branch, and a pull request where there is a forge.
func (r *Reconciler) pullRequest(ctx context.Context, c change, with proposing) (release.Written, error) {
	is := v1alpha1.ProposalStatus{Branch: c.branch(), Revert: c.revert()}
	hub, err := r.Forges.Of(ctx, c.fleet)
	if err != nil && !errors.Is(err, origin.ErrNoForge) {
		return release.Written{}, err
	}
	if was := c.at.Proposal; was != nil && was.Number > 0 && hub != nil {
		// One that a person has closed is not opened again.
		pr, err := hub.PullRequest(ctx, int(was.Number))
		switch {
		case err != nil:
			return release.Written{}, err
		case pr.State == forge.Merged:
			r.pushed(ctx, c.fleet)
			return release.Written{ProposalStatus: *was}, nil
		case pr.State == forge.Closed:
			closed := *was
			closed.Closed = true
			return release.Written{ProposalStatus: closed}, nil
		}
	}
	written, err := r.proposed(ctx, c, with)
	if err != nil {
		return release.Written{}, err
	}
	is.Commit = written.Head
	if !slices.ContainsFunc(written.Commits, func(commit string) bool { return commit != "" }) {
		r.pushed(ctx, c.fleet) // the branch says so already
		return release.Written{ProposalStatus: is}, nil
	}
	if hub == nil {
		return release.Written{ProposalStatus: is}, nil
	}
	body, err := r.body(ctx, c, with.running)
	if err != nil {
		return release.Written{}, err
	}
	pr, err := hub.EnsurePullRequest(ctx, forge.Proposal{
		Head: is.Branch, Base: c.fleet.Spec.Git.Branch, Title: c.title(), Body: body, Labels: []string{"sengu"},
	})
	if err != nil {
		return release.Written{}, err
	}
	is.Number, is.URL = int64(pr.Number), pr.URL
	return release.Written{ProposalStatus: is}, nil
}

// proposed pushes the branch of a change. One that holds a commit that Sengu made and has forgotten is replaced as well.
func (r *Reconciler) proposed(ctx context.Context, c change, with proposing) (gitrepo.Written, error) {
	p := gitrepo.Proposal{Branch: c.branch(), Base: c.fleet.Spec.Git.Branch, Known: c.known, Drafts: []gitrepo.Draft{with.draft}}
	written, err := with.repository.Propose(ctx, p, with.auth)
	var foreign *gitrepo.PushError
	if !errors.As(err, &foreign) || !errors.Is(err, gitrepo.ErrForeign) {
		return written, err
	}
	if ours, readErr := c.forgotten(ctx, with, foreign.Head); readErr != nil || !ours {
		return written, fmt.Errorf("%w: merge or delete the branch", err)
	}
	p.Known = append(p.Known, foreign.Head)
	return with.repository.Propose(ctx, p, with.auth)
}

// forgotten reports whether a commit on the branch of a change is one that Sengu made, so that nothing of anybody's is lost
// when it is replaced. Its author and a trailer are not enough, as who amends or rebases a commit keeps both: it has to be
// the only one on top of the base, with the words that Sengu writes, and to change the images that these name and nothing
// else.
func (c change) forgotten(ctx context.Context, with proposing, head string) (bool, error) {
	base, known := with.repository.Head(c.fleet.Spec.Git.Branch)
	if !known {
		return false, nil
	}
	commits, more, err := with.repository.Log(ctx, base, head, 1)
	if err != nil || more || len(commits) != 1 || commits[0].Hash != head || commits[0].Address != with.draft.Author.Email {
		return false, err
	}
	message, err := with.repository.Message(ctx, head)
	if err != nil {
		return false, err
	}
	said, own := c.said(message, with.running)
	if !own {
		return false, nil
	}
	parent, err := with.repository.MergeBase(ctx, base, head)
	if err != nil {
		return false, err
	}
	before, err := with.repository.Tree(ctx, parent)
	if err != nil {
		return false, err
	}
	after, err := with.repository.Tree(ctx, head)
	if err != nil {
		return false, err
	}
	edits, err := c.wrote(before, after, said)
	if err != nil {
		return false, err
	}
	changes, err := with.repository.Diff(ctx, parent, head)
	if err != nil || len(edits) == 0 || len(changes.Files()) != len(edits) {
		return false, err
	}
	for name, content := range edits {
		if is, err := after.ReadFile(name); err != nil || !bytes.Equal(is, content) {
			return false, err
		}
	}
	return true, nil
}

// said returns the images that a message says are written, and whether it is one that Sengu writes for the service and the
// environment of a change, whichever Release it is of.
func (c change) said(message string, running []v1alpha1.WantedImage) (images []string, own bool) {
	if c.revert() {
		for _, is := range running {
			images = append(images, is.Image)
		}
	} else {
		images, c.env.Wanted = scribe.ImagesOf(message), nil
		for _, text := range images {
			c.env.Wanted = append(c.env.Wanted, v1alpha1.WantedImage{Image: text})
		}
	}
	trailers, own := strings.CutPrefix(message, c.title()+"\n\n"+c.reason()+"\n\n"+scribe.TrailerRelease+": ")
	_, trailers, _ = strings.Cut(trailers, "\n")
	for line := range strings.Lines(trailers) {
		own = own && strings.HasPrefix(line, scribe.TrailerImage+": ")
	}
	return images, own
}

// wrote returns what the files of a change became if nothing but images were written that differ between two trees: nothing
// if one of these is not among those that were said.
func (c change) wrote(before, after *gitrepo.Tree, said []string) (map[string][]byte, error) {
	settings, err := origin.Settings(origin.Order{App: appOf(c.fleet, c.release, c.env), Fleet: c.fleet, Source: before})
	if err != nil {
		return nil, err
	}
	edits := map[string][]byte{}
	for _, is := range settings.Images {
		was, err := scribe.Read(before, is, c.env.Path)
		if err != nil {
			continue // nobody could have written it
		}
		now, err := scribe.Read(after, is, c.env.Path)
		if err != nil {
			return nil, err
		}
		if was == now {
			continue
		}
		text := scribe.Running([]delivery.Image{is}, said)[is.Name]
		if want, err := image.Parse(text); err != nil || now.Tag != want.Tag || now.Digest != "" && now.Digest != want.Digest {
			return nil, nil //nolint:nilerr // somebody else wrote it
		}
		if err := scribe.Put(before, edits, is, c.env.Path, now); err != nil {
			return nil, err
		}
	}
	return edits, nil
}

// body is the text of a pull request. What others wrote stands in blocks of code.
func (r *Reconciler) body(ctx context.Context, c change, running []v1alpha1.WantedImage) (string, error) {
	var b strings.Builder
	spec := c.release.Spec
	if c.revert() {
		fmt.Fprintf(&b, "This takes back what failed in **%s**. The environment runs what it ran before already.\n\n", c.env.Name)
	} else {
		fmt.Fprintf(&b, "This brings **%s** to **%s** (cluster %s). Merging it is the approval.\n\n", spec.Service, c.env.Name, c.env.Cluster)
	}
	fmt.Fprintf(&b, "Release `%s`, by commit %.12s:\n\n%s\n", c.release.Name, spec.Revision, block(spec.Commit.Title+"\n"+spec.Commit.Author))
	if c.revert() {
		if c.at.Why != nil {
			b.WriteString(block(c.at.Why.Message))
		}
		return b.String(), nil
	}
	b.WriteString("### Images\n\n")
	was := map[string]string{}
	for _, is := range running {
		was[is.Name] = is.Image
	}
	for _, want := range c.env.Wanted {
		before := was[want.Name]
		fmt.Fprintf(&b, "- `%s`: `%s` → `%s`\n", want.Name, orNone(before), want.Image)
		if r.Changelog == nil || before == "" {
			continue
		}
		log, err := r.Changelog(ctx, c.fleet, before, want.Image)
		if err != nil {
			return "", err
		}
		if log != "" {
			b.WriteString("\n" + log + "\n")
		}
	}
	b.WriteString("\n### Gates\n\n")
	for _, gate := range c.at.Gates {
		switch {
		case gate.Name == "git" || gate.Name == "merge":
		case gate.Open:
			fmt.Fprintf(&b, "- [x] %s\n", gate.Name)
		default:
			fmt.Fprintf(&b, "- [ ] %s: %s\n", gate.Name, markdown.Code(gate.Message, markdown.Sentence))
		}
	}
	b.WriteString("\nWhat it changes in the cluster is in a comment, where Sengu writes them. A newer image replaces what is here.\n")
	return b.String(), nil
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// block puts the words of others on lines of their own.
func block(text string) string {
	return markdown.Fenced("text", strings.Split(markdown.Visible(strings.TrimRight(text, "\n")), "\n"))
}
