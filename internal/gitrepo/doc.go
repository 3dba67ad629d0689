// Package gitrepo brings Git repositories here, reads them and writes commits to them: one bare mirror per remote URL,
// fetched on demand, and every commit of it as an fs.FS over Git objects, with no checkout.
//
// It is responsible for transport (https, http, ssh, file), for credentials on their way to git, for keeping every
// head that was ever observed, for telling what differs between two commits, for commits that nobody else's commit is lost
// by, and for understanding the webhooks that announce a push. It refuses to leave a repository (symbolic links that
// point out of it are errors), to trust an unknown ssh host, to send a credential to a host that it was not given for,
// to put a credential into an argument, a log line or an error, and to decide what a change means: that is for its callers.
//
// Transport is a small client of the Git protocol (version 2) over HTTP that hands packs to the git program, and the git
// program itself for every other transport and for every push; objects are read through `git cat-file`. docs/adr/0001 has
// the figures.
//
// # What is written
//
// Write puts commits on a branch, Propose makes a branch of our own for a pull request, PushState keeps state on a ref of
// our own. Each says what the ref must be for the push to succeed, and the remote compares once more under its lock, so
// that no push overwrites what it has not seen; Write and Propose then start again on the newest head, calling the edits
// anew. Trees, commits and signatures are made in this process, only for the directories that change, and git checks them
// in a folder beside the mirror before they go out. They are taken into the mirror when the remote has them: a write that
// fails, or is killed, leaves nothing here.
//
// # What is kept
//
// Below refs/sengu in each mirror: heads/NAME is the last observed head of a branch; seen/TIME-HASH is a head that a
// force-push took off its branch, a commit that was asked for by its hash, or one of a branch of our own; state/REF is
// the last observed state of a ref of our own; keep/HASH is what Retain holds. A failed fetch changes none of them. Of
// seen the newest 1,000 stay (Options.SeenLimit); what Retain holds always stays, and maintenance only ever repacks
// objects and drops none.
package gitrepo
