// Package drift knows the live state of what Sengu has applied to one cluster, by one watch for each kind in use.
//
// It is responsible for a table of compact records that is right at any time, also while a watch is broken; for telling
// the owner of an object when something about it really changed, and not when a write of Sengu's own comes back as an
// event; for what keeps the Pods of a workload from being ready, while it is not; and for how long to leave a field
// alone that somebody else keeps changing back.
//
// It refuses to conclude that an object is gone from anything but the API server's word: a failed or half list makes
// nothing missing, and an object that leaves a watch, because it was deleted or because its label was taken off, is
// asked for by name. It writes nothing to the cluster, and keeps no object as a whole.
package drift
