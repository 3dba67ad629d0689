// Package release decides how the Releases of one service move through the environments.
//
// It is responsible for the whole of that decision, as one pure function: (the service's Releases and Apps, what is seen
// of its Jobs, checks and windows, the time) → (what its Apps should be, which Jobs and checks are due, the Releases'
// next statuses, when to look again). It refuses to write, to ask and to know the time: its caller does. It may be called
// again after a crash at any point between two writes of its caller, and comes to the same end.
//
// One environment of one service is held by one Release at a time. The App says which: spec.release names the Release
// that brought it to its source, and spec.hold keeps every other out. So a status that was not written is found again
// from the App.
package release
