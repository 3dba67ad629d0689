// Package manifest knows what a Kubernetes object is to Sengu: its identity, the annotations that steer its
// delivery, the mark of ownership that it carries, the order in which it is applied, and the keyed hashes by which
// two states of it are compared. It also knows how to leave a field to another manager, and how to show two states
// of an object to a person without showing a secret.
//
// Everything here is pure. The package talks to nobody, reads no clock and never decides what to do with an
// object; it refuses objects that no cluster could take (without a kind or a name, or twice in one App), and those
// that would carry another's mark of ownership into a cluster. No error of this package holds a value of an object,
// only names, paths and files.
package manifest
