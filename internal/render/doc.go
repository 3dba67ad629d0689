// Package render turns a folder of a repository into the objects that it describes: plain YAML and JSON,
// kustomizations and Helm charts. It is responsible for the output being the one of `kustomize build` and
// `helm template`, for knowing everything that the output depends on (the [ReadSet]), and for keeping what is
// rendered, which is untrusted, away from the machine: it runs in worker processes that can compute and ask their
// parent for files, and nothing else.
//
// It refuses what is not decided by its input (random values, the time, remote files that nobody allowed) and never
// returns an empty success. It does not know clusters: an object keeps the namespace that it was written with, even
// none.
package render
