package home

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// maxSocketPath is the longest path that Linux takes for a unix socket; macOS
// takes a little less, and this suits both.
const maxSocketPath = 103

// plainPath is a path that means the same inside and outside a URL.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9/._+@~-]+$`)

// Socket returns a path for a unix socket, and a function that removes what it
// made. The path is in the folder, unless that is too long or too odd for a
// socket's address; then it is in a private temporary folder.
func (h *Home) Socket(name string) (string, func() error, error) {
	path := h.Path(name)
	if socketFits(path) {
		return path, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "localplane-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for socket %s: %w", name, err)
	}
	return filepath.Join(dir, name), func() error { return os.RemoveAll(dir) }, nil
}

// socketFits says whether path can be the address of a unix socket as it is.
func socketFits(path string) bool {
	return len(path) <= maxSocketPath && plainPath.MatchString(path)
}
