// Package manifest knows what a Kubernetes object is to Sengu: its identity, the annotations that steer its
// delivery, the mark of ownership that it carries, and the keyed hashes by which two states of it are compared.
//
// Everything here is pure. The package talks to nobody, reads no clock and never decides what to do with an
// object; it refuses objects that no cluster could take (without a kind or a name, or twice in one App).
package manifest
