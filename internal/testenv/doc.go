// Package testenv gives tests a real Kubernetes control plane and a clock that they move.
//
// It is responsible for starting bin/localplane at most once for the tests of a package, for stopping it and starting
// it again where a test wants an API server that is gone, and for leaving nothing behind. It refuses to fake: without
// the binary a test fails and says how to build it. It is for tests only.
package testenv
