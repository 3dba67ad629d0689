// Package scribe knows where in a Fleet's repository the tag of an image is written, and how Sengu's commits look.
//
// It is responsible for finding the file and the field of each image of a service in an environment, for what a
// repository would say if an image were written into it, and for the author and the key of commits. It refuses to push
// anything, which is for internal/gitrepo, and to choose images.
package scribe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/edit"
	"github.com/sengu-dev/sengu/internal/image"
)

// Edits returns what files become when images are written for an environment whose folder is given: by path, only those
// that change. Images of a service that are not wanted stay. An error is a sentence that names the file.
func Edits(tree fs.FS, images []delivery.Image, folder string, wanted []v1alpha1.WantedImage) (map[string][]byte, error) {
	changed := map[string][]byte{}
	for _, want := range wanted {
		i := slices.IndexFunc(images, func(is delivery.Image) bool { return is.Name == want.Name })
		if i < 0 {
			continue
		}
		ref, err := image.Parse(want.Image)
		if err != nil {
			return nil, err
		}
		if err := Put(tree, changed, images[i], folder, ref); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// EditFunc returns the edit of a commit that writes images, as internal/gitrepo takes it.
func EditFunc(images []delivery.Image, folder string, wanted []v1alpha1.WantedImage) func(context.Context, fs.FS) (map[string][]byte, error) {
	return func(_ context.Context, tree fs.FS) (map[string][]byte, error) {
		return Edits(tree, images, folder, wanted)
	}
}

// Put adds to changed what the file of an image becomes when the tag and the digest of a reference are written into it,
// for an environment whose folder is given. What changed says of the same file already is kept.
func Put(tree fs.FS, changed map[string][]byte, is delivery.Image, folder string, ref image.Reference) error {
	file, err := fileOf(tree, is, folder)
	if err != nil {
		return err
	}
	was, known := changed[file]
	if !known {
		if was, err = fs.ReadFile(tree, file); err != nil {
			return fmt.Errorf("%s, where %s says that the image %s is written, cannot be read: %w", file, is.At, is.Name, err)
		}
	}
	next := edit.Image{Name: is.Name, Tag: ref.Tag, Digest: ref.Digest}
	var now []byte
	switch {
	case is.Update.ValuesFile != "":
		now, err = edit.Values(was, is.Update.Key, version(ref))
	case is.Update.MarkedFile != "":
		now, err = edit.Marked(was, next)
	default:
		now, err = edit.Kustomize(was, next)
	}
	if err != nil {
		return fmt.Errorf("%s: the image %s cannot be written: %w", file, is.Name, err)
	}
	if string(now) != string(was) {
		changed[file] = now
	}
	return nil
}

// version is what stands behind the name of an image in a field of values.
func version(ref image.Reference) string {
	switch {
	case ref.Digest == "":
		return ref.Tag
	case ref.Tag == "":
		return ref.Digest
	}
	return ref.Tag + "@" + ref.Digest
}

// kustomizations are the names that a kustomization may have.
var kustomizations = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// fileOf returns the file that the tag of an image is written into.
func fileOf(tree fs.FS, is delivery.Image, folder string) (string, error) {
	switch {
	case is.Update.ValuesFile != "":
		return is.Update.ValuesFile, nil
	case is.Update.MarkedFile != "":
		return is.Update.MarkedFile, nil
	case is.Update.Kustomization != "":
		info, err := fs.Stat(tree, is.Update.Kustomization)
		if err != nil || !info.IsDir() {
			return is.Update.Kustomization, nil //nolint:nilerr // whoever reads the file is told what is wrong with it
		}
		folder = is.Update.Kustomization
	}
	for _, name := range kustomizations {
		file := path.Join(folder, name)
		switch _, err := fs.Stat(tree, file); {
		case err == nil:
			return file, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("look for the kustomization of %s: %w", folder, err)
		}
	}
	return "", fmt.Errorf("%s: the image %s is written into the kustomization in %s, and there is none: name a file with update", is.At, is.Name, folder)
}

// Running finds which of images are among what an environment renders: by name, as its reference is written there.
func Running(images []delivery.Image, rendered []string) map[string]string {
	found := map[string]string{}
	for _, is := range images {
		name := is.Repository
		if name == "" {
			name = is.Name
		}
		repository, err := image.ParseRepository(name)
		if err != nil {
			continue
		}
		for _, text := range rendered {
			if ref, err := image.Parse(text); err == nil && ref.Repository == repository {
				found[is.Name] = text
			}
		}
	}
	return found
}
