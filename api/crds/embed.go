// Package crds holds the CustomResourceDefinitions of Sengu's kinds, as controller-gen writes them.
//
// It is responsible for having them inside the program, so that what installs them needs no files. It refuses to change
// or to apply them.
package crds

import "embed"

// Files are the definitions, one a file.
//
//go:embed *.yaml
var Files embed.FS
