package forge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Forge is one repository on a forge. It may be used by several goroutines at once. Its errors are *RateLimited, or an
// *Error that matches one of the sentinels of this package, or a sentence about an argument.
type Forge interface {
	// Capabilities says what this kind of forge can do.
	Capabilities() Capabilities
	// OpenPullRequests lists the open pull requests into a branch, or into every branch when base is "": the newest first,
	// without their Body and MergedBy. What did not change since the last call is not transferred again.
	OpenPullRequests(ctx context.Context, base string) (Listing, error)
	// PullRequest gives one.
	PullRequest(ctx context.Context, number int) (PullRequest, error)
	// EnsurePullRequest makes the open pull request from p.Head be as p says, and opens one if there is none. When there
	// are several, that into p.Base is meant, else the oldest, which then goes into p.Base.
	EnsurePullRequest(ctx context.Context, p Proposal) (PullRequest, error)
	// ClosePullRequest closes it unmerged if it is still open, and gives what it is then: perhaps merged.
	ClosePullRequest(ctx context.Context, number int) (PullRequest, error)
	// Approvals lists who approves a pull request now: one a person, withdrawn and dismissed ones left out. Whether their
	// word counts is not asked: on a public repository anybody may approve.
	Approvals(ctx context.Context, number int) ([]Approval, error)
	// EnsureComment makes the one comment with the marker, a word such as "plan" or "plan/production", say the text, in
	// Markdown. Text over Capabilities.Characters is cut, and says so at its top.
	EnsureComment(ctx context.Context, number int, marker, text string) (Comment, error)
	// SetStatus sets the status of a commit that has s.Context for its name.
	SetStatus(ctx context.Context, sha string, s Status) error
	// SetDeployment says how a deployment goes. Where the forge knows no deployments it sets a status of the commit
	// instead, named deploy/ENVIRONMENT.
	SetDeployment(ctx context.Context, d Deployment) error
}

// Capabilities are what a kind of forge can do.
type Capabilities struct {
	// Deployments: it shows deployments as such, and not as statuses of a commit.
	Deployments bool
	// Characters that the text of a comment or a pull request may have.
	Characters int
}

// State of a pull request.
type State string

// The states. A merged pull request is not closed.
const (
	Open   State = "open"
	Merged State = "merged"
	Closed State = "closed"
)

// PullRequest is a pull request, or a merge request, as the forge has it.
type PullRequest struct {
	Number int
	URL    string // of its page
	Title  string
	Body   string
	// Author is a login.
	Author string
	// Head is the branch that it comes from and HeadSHA that branch's commit; Base is the branch that it goes into.
	Head, HeadSHA, Base string
	// Ref is where Git finds HeadSHA in this repository, also for a fork.
	Ref string
	// Fork: Head is a branch of another repository, so that whoever wrote it may not write to this one.
	Fork   bool
	Draft  bool
	Labels []string
	State  State
	// MergeSHA is the commit that is in Base now, and MergedBy the login of who merged; "" unless merged.
	MergeSHA, MergedBy string
}

// Listing is what OpenPullRequests found.
type Listing struct {
	PullRequests []PullRequest
	// Truncated: there are more, older than these.
	Truncated bool
}

// Proposal is what a pull request should be.
type Proposal struct {
	Head, Base string // branches of this repository
	Title      string // one line, cut at 255 characters
	// Body is Markdown, cut like a comment. Words of others belong into blocks of code in it: elsewhere a forge acts on
	// names with an @, and on words such as "closes #1" when it is merged.
	Body string
	// Labels are added, and made where the repository lacks them. Other labels stay.
	Labels []string
}

// Approval is one person's approval of a pull request.
type Approval struct {
	By string // login
	// SHA is the commit that was looked at, "" where the forge does not say.
	SHA string
}

// Comment is what EnsureComment left behind.
type Comment struct {
	URL string
	// Written: it was made or changed by this call.
	Written bool
}

// StatusState is the colour of a status.
type StatusState string

// The states of a status.
const (
	StatusPending StatusState = "pending"
	StatusSuccess StatusState = "success"
	StatusFailure StatusState = "failure" // the answer is no
	StatusError   StatusState = "error"   // there is no answer; GitLab shows it as a failure
)

// Status is what is said of a commit.
type Status struct {
	State StatusState
	// Context tells it from the others of the commit, such as "sengu/plan".
	Context string
	// Description is one line, cut at 140 characters. GitLab does not change it while it stays pending.
	Description string
	// TargetURL is the page with more, "" for none.
	TargetURL string
}

// DeploymentState is how a deployment goes.
type DeploymentState string

// The states of a deployment.
const (
	DeploymentQueued     DeploymentState = "queued" // GitLab does not show it
	DeploymentInProgress DeploymentState = "in_progress"
	DeploymentSuccess    DeploymentState = "success"
	DeploymentFailure    DeploymentState = "failure"
	DeploymentInactive   DeploymentState = "inactive" // it runs no longer; GitLab cancels one under way, and shows no other
)

// Deployment is one commit on its way into one environment. Queued and in progress begin one, unless the newest of
// the environment is of this commit and not over yet; the others end the newest of this commit.
type Deployment struct {
	SHA, Environment string
	// Ref is the branch, which GitLab shows; SHA when empty.
	Ref         string
	State       DeploymentState
	Description string // one line, cut at 140 characters
	// LogURL is a page about the deployment and EnvironmentURL what was deployed, each "" for none.
	LogURL, EnvironmentURL string
}

// Config says which repository and how to reach it.
type Config struct {
	Kind Kind
	// BaseURL of the API, such as https://git.example.com/api/v4; that of github.com or gitlab.com when empty.
	BaseURL string
	// Repository is owner/name; group/subgroup/name for GitLab.
	Repository string
	// Token gives the credential for each request; it keeps what it makes until shortly before that ends.
	Token func(ctx context.Context) (string, error)
	// Login that the token writes as. The forge is asked when it is empty and matters.
	Login string
	// AllowHTTP lets the token travel unencrypted to a host that is not this machine.
	AllowHTTP bool
	// HTTP is used without its cookies and its rule for redirects; a client with time limits when nil.
	HTTP *http.Client
	// Logger gets one line of level debug a request; none when nil.
	Logger *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// New makes the Forge of a repository. It sends nothing. The error is a sentence about the setting to correct.
func New(cfg Config) (Forge, error) {
	if cfg.Token == nil {
		return nil, errors.New("a forge needs a token: name a Secret that holds one")
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = publicAPI[cfg.Kind]
	}
	if err := checkRepository(cfg.Kind, cfg.Repository); err != nil {
		return nil, err
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	switch cfg.Kind {
	case GitHub:
		return newGitHub(c), nil
	case Gitea:
		return newGitea(c), nil
	default:
		return newGitLab(c), nil
	}
}

// validate says what is wrong with a proposal.
func (p Proposal) validate() error {
	for _, f := range []struct{ name, value string }{{"head", p.Head}, {"base", p.Base}, {"title", strings.TrimSpace(p.Title)}} {
		if f.value == "" {
			return fmt.Errorf("a pull request needs a %s", f.name)
		}
	}
	for _, label := range p.Labels {
		if label == "" || strings.Contains(label, ",") || oneLine(label, maxLabel) != label {
			return fmt.Errorf("%q is no label that every forge takes: use one line of 1 to %d characters without a comma", clip(label, 100), maxLabel)
		}
	}
	if p.Head == p.Base {
		return fmt.Errorf("a pull request from %s into itself makes no sense", p.Head)
	}
	return nil
}

func (s Status) validate(sha string) error {
	switch s.State {
	case StatusPending, StatusSuccess, StatusFailure, StatusError:
	default:
		return fmt.Errorf("%q is no state of a commit status", s.State)
	}
	if s.Context == "" || oneLine(s.Context, maxName) != s.Context {
		return fmt.Errorf("the context of a commit status is one line of 1 to %d characters", maxName)
	}
	if err := checkPage(s.TargetURL); err != nil {
		return err
	}
	return checkSHA(sha)
}

func (d Deployment) validate() error {
	switch d.State {
	case DeploymentQueued, DeploymentInProgress, DeploymentSuccess, DeploymentFailure, DeploymentInactive:
	default:
		return fmt.Errorf("%q is no state of a deployment", d.State)
	}
	if d.Environment == "" || oneLine(d.Environment, maxName) != d.Environment {
		return fmt.Errorf("the environment of a deployment is one line of 1 to %d characters", maxName)
	}
	return errors.Join(checkPage(d.LogURL), checkPage(d.EnvironmentURL), checkSHA(d.SHA))
}

// begins says whether the state is that of a deployment that starts.
func (d Deployment) begins() bool {
	return d.State == DeploymentQueued || d.State == DeploymentInProgress
}
