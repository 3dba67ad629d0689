// Package remote fetches what a render may take from outside of its repository: charts from HTTP and OCI repositories
// and single files. It runs in the parent, never in a worker.
//
// It fetches only what a [Policy] names, sends a credential only to the host that it is for, never talks to
// link-local addresses (where clouds keep their credentials) or, after a redirect, to any address that is not public,
// reads no more bytes than allowed, and checks digests. What it has fetched it keeps on disk by digest.
package remote
