// Package job runs the Jobs of a Release in the cluster that it delivers to: what comes before an environment is
// changed, what comes after, and the checks that are Jobs.
//
// It is responsible for making each Job once, under a name by which it finds it again after a crash; for knowing by a
// watch how it goes and why it does not, and keeping the outcome when the Job is gone; for its log, without the values of
// Secrets; and for stopping it when a person says so.
//
// It refuses to run a Job a second time, to touch a Job that it did not make for the same Release and step, to delete
// one for any other reason than that a person aborts, and to take a Job whose outcome nobody has seen for one that
// succeeded. A Job carries no mark of an App's objects, so that no App prunes it.
package job
