// Package health says whether an object does its work, and, for a workload that does not, which of its Pods is in
// the way and why. It judges the usual kinds by what their controllers report, unknown kinds by their conditions, and
// any kind by expressions of the user's own.
//
// Everything here is pure: it judges the objects that it is given, reads no clock and fetches nothing. It refuses to
// guess: what cannot be judged is Unknown with a sentence, never Healthy. It never repeats what a Secret, the
// environment of a container or a log holds, and its sentences carry no times, so that they stay the same while nothing
// changes.
package health
