package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// removal is closed until a person has agreed that the service goes, before the first environment that loses it.
func (d *decider) removal(r *journey, env v1alpha1.Environment) v1alpha1.Gate {
	for _, at := range r.status.Environments {
		if intent := r.intent(at.Name); intent.Gone && at.Stage == v1alpha1.StageDone && !at.Unchanged {
			return open(gateRemoval)
		}
	}
	rule := v1alpha1.ApprovalRule{Required: 1}
	if env.Approval != nil {
		rule = *env.Approval
	}
	if have, _ := d.agreed(r, env.Name, rule); have >= int(max(rule.Required, 1)) {
		return open(gateRemoval)
	}
	return closed(gateRemoval, "the service is gone from Git, and what it runs is deleted when somebody approves it: `sengu release approve %s -e %s`", r.Name, env.Name)
}

// approval is closed until enough people have agreed.
func (d *decider) approval(r *journey, env v1alpha1.Environment) v1alpha1.Gate {
	rule := *env.Approval
	have, remarks := d.agreed(r, env.Name, rule)
	need := int(max(rule.Required, 1))
	if have >= need {
		return open(gateApproval)
	}
	who := "an approval"
	if need > 1 {
		who = fmt.Sprintf("%d of %d approvals", need-have, need)
	}
	if len(rule.Groups) > 0 {
		who += " by " + strings.Join(rule.Groups, " or ")
	}
	return closed(gateApproval, "it waits for %s: `sengu release approve %s -e %s`%s", who, r.Name, env.Name, remarks)
}

// agreed counts the people whose approval of r in an environment counts. An approval of an older Release that renders the
// very same there counts too, and one for the whole group. Remarks say why others do not.
func (d *decider) agreed(r *journey, name string, rule v1alpha1.ApprovalRule) (have int, remarks string) {
	people := map[string]bool{}
	var refused []string
	authors := d.authors(r, name)
	for _, a := range d.approvals(r, name) {
		switch why := refusal(a, authors, rule, d.Now); {
		case why != "":
			refused = append(refused, why)
		case !people[a.By]:
			people[a.By] = true
			if rule.Expires != nil {
				d.wakeAt(a.At.Add(rule.Expires.Duration))
			}
		}
		if isAhead(a, d.Now) {
			d.wakeAt(a.At.Add(-v1alpha1.ClockSkew))
		}
	}
	slices.Sort(refused)
	for _, why := range slices.Compact(refused) {
		remarks += "; " + why
	}
	return len(people), remarks
}

// approvals lists what people have approved of r in an environment.
func (d *decider) approvals(r *journey, name string) []v1alpha1.ReleaseAction {
	var all []v1alpha1.ReleaseAction
	intent := r.intent(name)
	for _, other := range d.releases {
		theirs := other.intent(name)
		carried := other.Spec.Sequence < r.Spec.Sequence && theirs != nil && theirs.Digest != "" && theirs.Digest == intent.Digest
		if other != r && !carried {
			continue
		}
		for _, a := range slices.Concat(other.Spec.Actions, d.Approvals[other.Spec.Group]) {
			if a.Environment == name && a.Verb == v1alpha1.VerbApprove {
				all = append(all, a)
			}
		}
	}
	return all
}

// authors are those whose commits r would bring to an environment: its own, and those of the Releases between what runs
// there and r, whatever has become of them, unless they changed nothing there.
func (d *decider) authors(r *journey, name string) []string {
	authors := []string{r.Spec.Commit.Author}
	running := d.byName[d.places[name].Release]
	for _, other := range d.releases {
		newer := running == nil || other.Spec.Sequence > running.Spec.Sequence
		if at := other.at(name); at != nil && newer && other.Spec.Sequence < r.Spec.Sequence && !at.Unchanged {
			authors = append(authors, other.Spec.Commit.Author)
		}
	}
	return authors
}

// refusal says why an approval does not count, or "".
func refusal(a v1alpha1.ReleaseAction, authors []string, rule v1alpha1.ApprovalRule, now time.Time) string {
	switch {
	case isAhead(a, now):
		return fmt.Sprintf("that of %s does not count before %s, which is when it was given", a.By, a.At.UTC().Format("2006-01-02 15:04 UTC"))
	case rule.Expires != nil && !now.Before(a.At.Add(rule.Expires.Duration)):
		return fmt.Sprintf("the approval of %s has expired", a.By)
	case len(rule.Groups) > 0 && !slices.ContainsFunc(a.Groups, func(g string) bool { return slices.Contains(rule.Groups, g) }):
		return fmt.Sprintf("that of %s does not count, who is not in %s", a.By, strings.Join(rule.Groups, " or "))
	case rule.NotAuthor && slices.ContainsFunc(authors, func(author string) bool { return wrote(author, a.By) }):
		return fmt.Sprintf("that of %s does not count, who made the change", a.By)
	}
	return ""
}

// isAhead reports whether an approval was given later than now: else one could be given that never expires.
func isAhead(a v1alpha1.ReleaseAction, now time.Time) bool {
	return a.At.After(now.Add(v1alpha1.ClockSkew))
}

// wrote reports whether user is the author of a commit, whom Git knows as name <address>.
func wrote(author, user string) bool {
	name, address, _ := strings.Cut(author, " <")
	address = strings.TrimSuffix(address, ">")
	local, _, _ := strings.Cut(address, "@")
	for _, known := range []string{name, address, local} {
		if known != "" && strings.EqualFold(known, user) {
			return true
		}
	}
	return false
}
