package scribe

import (
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/image"
)

// maxTold is how many images are taken from the message of a commit, and how long each may be, in bytes.
const (
	maxTold     = 64
	maxToldText = 512
)

// ImagesOf returns the images that the message of a commit says it writes. It may say anything.
func ImagesOf(message string) []string {
	var images []string
	for line := range strings.Lines(message) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), TrailerImage+": ")
		if !ok || len(text) > maxToldText || len(images) == maxTold {
			continue
		}
		if _, err := image.Parse(text); err == nil {
			images = append(images, text)
		}
	}
	return images
}

// Told returns the images of environments, as they are rendered, with the digests that commits tell of them. Of two digests
// for one image the first that is told counts. What they tell of others is left out.
func Told(told []string, environments []v1alpha1.ReleaseEnvironment) []string {
	type rendered struct {
		text string // which may leave the registry out
		ref  image.Reference
	}
	var all []rendered
	for _, env := range environments {
		for _, text := range env.Images {
			known := slices.ContainsFunc(all, func(is rendered) bool { return is.text == text })
			if ref, err := image.Parse(text); err == nil && ref.Digest == "" && !known {
				all = append(all, rendered{text, ref})
			}
		}
	}
	var found []string
	for _, text := range told {
		told, err := image.Parse(text)
		if err != nil || told.Digest == "" {
			continue
		}
		for i, is := range all {
			if is.ref.Repository == told.Repository && is.ref.Tag == told.Tag && is.text != "" && len(found) < maxTold {
				found = append(found, is.text+"@"+told.Digest)
				all[i].text = "" // the next is older
			}
		}
	}
	return found
}

// Same reports whether two references lead to the same image: by their digests where both have one, else by their names
// and tags.
func Same(a, b string) bool {
	x, errX := image.Parse(a)
	y, errY := image.Parse(b)
	if errX != nil || errY != nil {
		return a == b
	}
	if x.Repository != y.Repository {
		return false
	}
	if x.Digest != "" && y.Digest != "" {
		return x.Digest == y.Digest
	}
	return x.Tag == y.Tag
}
