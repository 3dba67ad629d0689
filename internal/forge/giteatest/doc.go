// Package giteatest gives tests a real Gitea on loopback.
//
// It is responsible for starting bin/gitea on a temporary directory, for the users, tokens, repositories and pull
// requests that a test needs in it, and for leaving neither a process nor a file behind; no process even when the test
// is killed. Under root it runs as another user, because Gitea refuses root. It refuses to fake: without the binary a test fails and
// says how to build it. It is for tests only.
package giteatest
