package scribe

import (
	"strings"

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
