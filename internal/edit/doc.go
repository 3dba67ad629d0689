// Package edit changes the image in a YAML file that people write by hand, and leaves every other byte as it was:
// comments, blank lines, quotes, indentation, line endings, anchors.
//
// It is responsible for the three places where an image stands in Git: the `images` of a kustomization ([Kustomize]), a
// path in a file of Helm values ([Values]), and any value that a comment marks ([Marked]). It cuts the new text into
// the bytes that the parser points at, parses the result again, and gives it back only if exactly the intended values
// differ. An edit whose values are there already gives the same bytes back.
//
// It is pure. It refuses what it cannot change without a guess: a value that is an alias, or that an alias elsewhere
// repeats, text over several lines, a template, a second document where it is not clear which one is meant, twice the
// same key, a file that SOPS has sealed. It never invents a path. Each refusal is a sentence that names the line and the
// way out, and neither the file, which only the caller knows, nor a value of it, which may be secret.
//
// # Marks
//
// A comment at the end of the line says which image a value follows:
//
//	image: registry.example.com/shop/checkout:1.4.0  # sengu:image checkout
//	tag: 1.4.0                                       # sengu:image checkout:tag
//	digest: sha256:9f86d081…                         # sengu:image checkout:digest
//	repository: registry.example.com/shop/checkout   # sengu:image checkout:name
//
// A mark without a part is the whole reference, whose repository stays when [Image.NewName] is empty. A line has one
// value and may have further words before or behind the mark.
package edit
