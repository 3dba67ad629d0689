// Package forge does on GitHub, GitLab and Gitea what Sengu needs of a forge: pull requests and one comment on each,
// commit statuses, deployments, and the webhooks that announce a pull request.
//
// It is responsible for finding again what it made (a pull request by its branch, a comment by a hidden marker and its
// author, a deployment by its environment and commit), so that every call can be repeated, and for writing nothing when
// nothing differs. It refuses to take over what another made: a pull request of a fork, or a comment that bears the
// marker and another author. It never merges and never deletes, never waits or tries again by itself, follows no
// redirect to another host, and lets no token into an error, a log line or a URL. It pushes no branch: that is Git's.
//
// The words are GitHub's: a merge request of GitLab is a pull request, and its number is the one in its project.
//
// # Why there is no library for each forge
//
// The client libraries of the three would add 3.0 MB to the program and 13 modules for some 30 calls. That of GitLab
// waits and tries again on its own, which a worker must not; that of Gitea takes its context when it is made and asks the
// server for its version first; and each has its own errors, limits and redirects to be fenced in. What is here is a
// client of HTTP and JSON that all three share.
//
// # What a token must be allowed
//
//   - GitHub: pull requests, commit statuses and deployments, each for writing, and metadata for reading (an App or a
//     fine-grained token); repo (a classic token).
//   - GitLab: the scope api, and the role Developer.
//   - Gitea: write:repository, write:issue and read:user, for a user who may write to the repository.
package forge
