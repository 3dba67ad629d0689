package cli

import (
	"context"
	"io/fs"
	"strings"
)

// toucher says which Apps a difference between two revisions can change, by what their last render read.
type toucher struct {
	*comparison
	// files are those that differ from a revision that an App runs; nil if that cannot be told.
	files map[string][]string
}

// touched says whether what s renders can differ from what its App was last rendered from. When it cannot be told, it
// can.
func (t toucher) touched(ctx context.Context, s subject) bool {
	if t.options.all || s.app == nil || s.gone {
		return true
	}
	is, was := s.spec.Source, s.app.Spec.Source
	was.Revision = ""
	if is != was || len(s.app.Status.Inputs) == 0 || !good(s.app) && s.app.Status.Revision != s.app.Spec.Source.Revision {
		return true
	}
	files, ok := t.differ(ctx, s.app.Status.Revision)
	if !ok {
		return true
	}
	for _, input := range s.app.Status.Inputs {
		if t.reads(input, files) {
			return true
		}
	}
	return false
}

// differ lists the files that differ from revision, once.
func (t toucher) differ(ctx context.Context, revision string) ([]string, bool) {
	if files, ok := t.files[revision]; ok {
		return files, files != nil
	}
	files, ok := t.repository.changed(ctx, revision, t.commit)
	if ok && files == nil {
		files = []string{}
	}
	if !ok {
		files = nil
	}
	t.files[revision] = files
	return files, ok
}

// reads says whether one of files is, or lies below, what a render read under the name input. A name that ends in a
// slash is a folder of which only the existence mattered.
func (t toucher) reads(input string, files []string) bool {
	if folder, ok := strings.CutSuffix(input, "/"); ok {
		info, err := fs.Stat(t.tree, folder)
		return err != nil || !info.IsDir()
	}
	for _, file := range files {
		if file == input || input == "." || strings.HasPrefix(file, input+"/") || strings.HasPrefix(input, file+"/") {
			return true
		}
	}
	return false
}
