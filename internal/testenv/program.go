package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Program finds a program that the Makefile's target makes in bin, beside the go.mod of the module that is tested. The
// environment variable names another place for it.
func Program(name, target, variable string) (string, error) {
	if path := os.Getenv(variable); path != "" {
		if _, err := os.Stat(path); err != nil { //nolint:gosec // named by whoever runs the tests
			return "", fmt.Errorf("%s names what is not there: run `make %s` at the root of the repository and name what it makes, or unset it: %w", variable, target, err)
		}
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("there is no go.mod above the test: set " + variable)
		}
		dir = parent
	}
	path := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("bin/%s is missing: run `make %s` at the root of the repository, or set %s", name, target, variable)
	}
	return path, nil
}
