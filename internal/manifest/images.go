package manifest

import (
	"slices"
	"strings"
)

// containerLists are the fields of a Pod's spec that hold containers, wherever a kind embeds one.
var containerLists = []string{"containers", "initContainers", "ephemeralContainers"}

// Images lists the images of the containers that objects ask for, sorted and each once.
func Images(objects []Object) []string {
	var images []string
	for _, o := range objects {
		if spec, ok := o.Object["spec"].(map[string]any); ok && o.GetKind() != "CustomResourceDefinition" {
			images = appendImages(images, spec)
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

func appendImages(images []string, v any) []string {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			if slices.Contains(containerLists, key) {
				images = appendContainers(images, below)
				continue
			}
			images = appendImages(images, below)
		}
	case []any:
		for _, below := range v {
			images = appendImages(images, below)
		}
	}
	return images
}

func appendContainers(images []string, list any) []string {
	containers, _ := list.([]any)
	for _, c := range containers {
		if c, ok := c.(map[string]any); ok {
			if image, ok := c["image"].(string); ok && image != "" {
				images = append(images, image)
			}
		}
	}
	return images
}

// PinImage makes every container of objects that runs some tag or digest of an image run that one, in place, and returns
// how many do.
func PinImage(objects []Object, image string) int {
	n := 0
	for _, o := range objects {
		if spec, ok := o.Object["spec"].(map[string]any); ok && o.GetKind() != "CustomResourceDefinition" {
			n += pinImage(spec, repositoryOf(image), image)
		}
	}
	return n
}

func pinImage(v any, repository, image string) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			if !slices.Contains(containerLists, key) {
				n += pinImage(below, repository, image)
				continue
			}
			list, _ := below.([]any)
			for _, c := range list {
				c, ok := c.(map[string]any)
				if was, isText := c["image"].(string); ok && isText && repositoryOf(was) == repository {
					c["image"] = image
					n++
				}
			}
		}
	case []any:
		for _, below := range v {
			n += pinImage(below, repository, image)
		}
	}
	return n
}

// repositoryOf is an image without its tag and digest.
func repositoryOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		return image[:i]
	}
	return image
}
