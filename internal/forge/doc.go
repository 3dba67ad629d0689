// Package forge talks to GitHub, GitLab and Gitea.
package forge
