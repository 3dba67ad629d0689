// Package registry reads container registries: which tags a repository has, which image a tag leads to, and what an
// image says of itself. It also understands the webhooks by which registries announce a push.
//
// It is responsible for credentials on their way to a registry: those of Kubernetes pull secrets, matched as Kubernetes
// matches them, and those that a cloud gives to the identity of this process, where a caller allows it. It is
// responsible for asking no registry more often than it bears (a rate for each, and a pause when it asks for one), and
// for believing nothing that a registry says beyond its bounds: answers are bounded in size, number and time, and are
// checked against their digests.
//
// It refuses to read the docker configuration of the machine or to run its credential helpers, to speak http to
// anything but this machine itself, to take a credential along when it is sent to another host, to connect to
// link-local addresses (where clouds keep their credentials), and to follow a registry on public addresses to one that
// is not. It never writes to a registry, never fetches a layer, and no error, log line or printed value of it holds a
// credential or anything else that a registry sent but names, digests and status codes. It does not decide which image
// should run: that is for package image.
//
// # Waiting
//
// No request is held back for longer than two seconds. When a registry has been asked too often, a call fails with
// [ErrRateLimited], and [Error.Until] says when to come back. Calls for one repository with one credential take turns.
package registry
