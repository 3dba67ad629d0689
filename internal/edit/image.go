package edit

import (
	"fmt"
	"regexp"
	"strings"
)

// Image is what an image becomes.
type Image struct {
	// Name is what the file calls the image: the name of an entry of `images`, or the word of a mark.
	Name string
	// NewName is the repository to take it from; what is there stays when it is "".
	NewName string
	// Tag and Digest are the version, at least one of them. Where both are given, the digest decides what runs and the tag
	// says it to people. What is "" goes away where the other was written.
	Tag, Digest string
}

var (
	nameWord   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,254}$`)
	tagWord    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	digestWord = regexp.MustCompile(`^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,128}$`)
)

// check refuses what is no image, because it comes from a registry.
func (i Image) check() error {
	switch {
	case !nameWord.MatchString(i.Name):
		return fmt.Errorf("%q is not the name of an image", i.Name)
	case i.NewName != "" && !nameWord.MatchString(i.NewName):
		return fmt.Errorf("%q is not the repository of an image", i.NewName)
	case i.Tag == "" && i.Digest == "":
		return fmt.Errorf("image %s has neither a tag nor a digest", i.Name)
	case i.Tag != "" && !tagWord.MatchString(i.Tag):
		return fmt.Errorf("%q is not the tag of an image", i.Tag)
	case i.Digest != "" && !digestWord.MatchString(i.Digest):
		return fmt.Errorf("%q is not the digest of an image", i.Digest)
	}
	return nil
}

// reference is the whole image, from a repository.
func (i Image) reference(repository string) string {
	if i.Tag != "" {
		repository += ":" + i.Tag
	}
	if i.Digest != "" {
		repository += "@" + i.Digest
	}
	return repository
}

// repositoryOf takes tag and digest off a reference. A colon before the last slash is that of a port.
func repositoryOf(reference string) string {
	name, _, _ := strings.Cut(reference, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name = name[:i]
	}
	return name
}
