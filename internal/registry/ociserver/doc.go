// Package ociserver serves a real OCI registry, that of the CNCF Distribution project, from memory and in this process.
//
// It is responsible for a registry that tests can push to and read from: open to everybody, or behind basic
// authentication or a token server of its own, and telling of pushes by webhooks. It refuses to keep anything: what was
// pushed is gone with the process.
package ociserver
