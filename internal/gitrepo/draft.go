package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// EditFunc says what a commit changes: by the path from the root of the repository what a file becomes, nil for a file
// that goes away. Tree is what the commit stands on, valid until the function returns. It is called anew for each try, so
// that it must look at tree each time; it must not fetch from, or write to, the same repository.
type EditFunc func(ctx context.Context, tree fs.FS) (map[string][]byte, error)

// Identity is an author or committer.
type Identity struct{ Name, Email string }

// Trailer is a line at the end of a commit's message, such as Sengu-Release: checkout-4f1.
type Trailer struct{ Key, Value string }

// Draft is a commit that is to be made.
type Draft struct {
	// Author made the change, Committer made the commit; the author when it is zero.
	Author, Committer Identity
	// Message is the subject, and after an empty line a body.
	Message  string
	Trailers []Trailer
	// Key signs the commit; nil leaves it unsigned.
	Key *SigningKey
	// Edits make up the commit, one on top of the other. If together they change nothing, no commit is made.
	Edits []EditFunc
}

// maxMessage bounds a message, in bytes.
const maxMessage = 64 << 10

var trailerKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

func (d *Draft) check() error {
	if d.Committer == (Identity{}) {
		d.Committer = d.Author
	}
	for _, id := range []Identity{d.Author, d.Committer} {
		if err := id.check(); err != nil {
			return err
		}
	}
	if strings.TrimSpace(d.Message) == "" || len(d.Message) > maxMessage || !utf8.ValidString(d.Message) || strings.ContainsRune(d.Message, 0) {
		return fmt.Errorf("the message of a commit must be text, of %d bytes at most", maxMessage)
	}
	for _, t := range d.Trailers {
		if !trailerKey.MatchString(t.Key) || strings.TrimSpace(t.Value) == "" || !utf8.ValidString(t.Value) || strings.ContainsAny(t.Value, "\x00\r\n") {
			return fmt.Errorf("%q is not a trailer of a commit: it is a key of letters, digits and dashes, and a value on one line", t.Key)
		}
	}
	if len(d.Edits) == 0 {
		return fmt.Errorf("the commit %q has no edit", firstLine(d.Message))
	}
	return nil
}

func (i Identity) check() error {
	text := i.Name + i.Email
	if strings.TrimSpace(i.Name) == "" || !utf8.ValidString(text) || len(text) > 1000 ||
		strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f || c == '<' || c == '>' }) {
		return fmt.Errorf("the name %q and the address %q cannot be those of a commit's author", i.Name, i.Email)
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// text is the message with its trailers.
func (d *Draft) text() string {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(strings.ReplaceAll(d.Message, "\r\n", "\n")) + "\n")
	for i, t := range d.Trailers {
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(t.Key + ": " + strings.TrimSpace(t.Value) + "\n")
	}
	return b.String()
}

// commit makes a commit object and returns its hash, hexadecimal.
func (b *builder) commit(d *Draft, tree string, parents []string, at time.Time) (string, error) {
	var head bytes.Buffer
	fmt.Fprintf(&head, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&head, "parent %s\n", p)
	}
	who := func(role string, id Identity) {
		fmt.Fprintf(&head, "%s %s <%s> %d +0000\n", role, strings.TrimSpace(id.Name), strings.TrimSpace(id.Email), at.Unix())
	}
	who("author", d.Author)
	who("committer", d.Committer)
	message := "\n" + d.text()
	if d.Key == nil {
		return b.add("commit", append(head.Bytes(), message...)), nil
	}
	signature, err := d.Key.sign(append(bytes.Clone(head.Bytes()), message...), at)
	if err != nil {
		return "", err
	}
	field := "gpgsig"
	if b.format == "sha256" {
		field = "gpgsig-sha256"
	}
	head.WriteString(field + " " + strings.ReplaceAll(strings.TrimSpace(signature), "\n", "\n ") + "\n")
	return b.add("commit", append(head.Bytes(), message...)), nil
}

// draft makes the commit of a draft on top of another, or returns that when there is nothing to change. Run calls an
// edit.
func (b *builder) draft(ctx context.Context, d *Draft, on string, at time.Time, run func(EditFunc, fs.FS) (map[string][]byte, error)) (string, error) {
	was, err := b.treeOf(ctx, on)
	if err != nil {
		return "", err
	}
	tree := was
	for _, edit := range d.Edits {
		changes, err := run(edit, &Tree{repo: b.repo, ctx: ctx, rev: on, root: rawHash(tree)})
		if err != nil {
			return "", err
		}
		if tree, err = b.change(ctx, tree, changes); err != nil {
			return "", fmt.Errorf("commit %q: %w", firstLine(d.Message), err)
		}
	}
	if tree == was {
		return on, nil
	}
	return b.commit(d, tree, []string{on}, at)
}
