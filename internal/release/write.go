package release

import (
	"fmt"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// written takes in what has become of the changes that r asked to be written to Git, and asks for what failed to be taken
// back.
func (d *decider) written(r *journey) {
	for i := range r.status.Environments {
		at := &r.status.Environments[i]
		if news, ok := d.Written[Place{r.Name, at.Name}]; ok && news.Problem == "" && r.awaits(at, news.ProposalStatus) {
			is := news.ProposalStatus
			at.Proposal = &is
		}
		if is := at.Proposal; is != nil && is.Revert && is.Commit == "" {
			d.writes = append(d.writes, Place{r.Name, at.Name})
		}
	}
}

// awaits reports whether a change is of the kind that r asks for in an environment now: one that was on its way when r
// failed comes too late.
func (r *journey) awaits(at *v1alpha1.ReleaseEnvironmentStatus, is v1alpha1.ProposalStatus) bool {
	return is.Revert == (at.Proposal != nil && at.Proposal.Revert)
}

// git is closed until a commit of the branch brings what r intends for an environment that is reached through Git.
func (d *decider) git(r *journey, name string) v1alpha1.Gate {
	intent, is := r.intent(name), r.at(name).Proposal
	if r.Spec.Step(name) != "" {
		return open(gateGit)
	}
	if problem := d.Written[Place{r.Name, name}].Problem; problem != "" {
		return closed(gateGit, "the change that brings it here cannot be written to Git, which is tried again: %s", problem)
	}
	switch {
	case is == nil && intent.Promote == v1alpha1.PromotePullRequest:
		return closed(gateGit, "Sengu opens a pull request with what brings it here")
	case is == nil:
		return closed(gateGit, "Sengu commits what brings it here once nothing else keeps it")
	case is.Closed:
		return closed(gateMerge, "%s was closed without being merged: open it again and merge it, or a newer image takes its place", named(is))
	case intent.Promote == v1alpha1.PromotePullRequest:
		return closed(gateMerge, "%s has to be merged", named(is))
	}
	return closed(gateGit, "commit %.7s is on the branch, which is being compared", is.Commit)
}

// named names a pull request, or the branch that one can be made of.
func named(is *v1alpha1.ProposalStatus) string {
	switch {
	case is.URL != "":
		return fmt.Sprintf("pull request #%d (%s)", is.Number, is.URL)
	default:
		return "branch " + is.Branch
	}
}

// propose asks for the change that brings r to an environment. A pull request is opened as soon as nobody holds the
// environment, so that it can be looked at while other gates are closed; a commit is made when they are open.
func (d *decider) propose(r *journey, name string, gates []v1alpha1.Gate) {
	intent := r.intent(name)
	if intent.Promote == "" || r.Spec.Step(name) != "" || intent.Problem != "" || intent.Digest == "" {
		return
	}
	keeps := func(g v1alpha1.Gate) bool {
		switch {
		case g.Open, g.Name == gateGit, g.Name == gateMerge:
			return false
		case g.Name == gateHold:
			return true
		}
		return intent.Promote == v1alpha1.PromoteCommit
	}
	if !slices.ContainsFunc(gates, keeps) {
		d.writes = append(d.writes, Place{r.Name, name})
	}
}
