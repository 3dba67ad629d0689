package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"regexp"
	"strings"

	"github.com/sengu-dev/sengu/internal/notify"
)

// Person is somebody as Kubernetes knows them.
type Person struct {
	User   string
	Groups []string
}

// IdentityMap says who a user of Slack is. Known is false if it does not know; an error means that it could not find out.
type IdentityMap interface {
	Person(ctx context.Context, slackUser string) (p Person, known bool, err error)
}

// Identity ties a user of Slack to a person.
type Identity struct {
	// Slack is the ID of the user, such as U0123456789, or the e-mail address that Slack has confirmed.
	Slack string
	// User and Groups of Kubernetes, which the person acts as. None begins with system:, since those are Kubernetes' own.
	User   string
	Groups []string
}

// Identities is an IdentityMap from a list.
type Identities struct {
	byID, byEmail map[string]Person
	email         func(ctx context.Context, slackUser string) (string, error)
}

var userID = regexp.MustCompile(`^[UW][A-Z0-9]{6,20}$`)

// NewIdentities checks a list. Email gives the confirmed address of a user, or "" for one who has none or is of another
// workspace, as Directory.Email does; without it, the list may hold IDs only.
func NewIdentities(list []Identity, email func(ctx context.Context, slackUser string) (string, error)) (*Identities, error) {
	m := &Identities{byID: map[string]Person{}, byEmail: map[string]Person{}, email: email}
	for _, i := range list {
		who := notify.Text(i.Slack, 80)
		for _, k := range append([]string{i.User}, i.Groups...) {
			if k == "" || strings.HasPrefix(k, "system:") || notify.Text(k, 253) != k {
				return nil, fmt.Errorf("identity %s: %q may be neither a user nor a group: it is empty, begins with system:, or is no line of text", who, notify.Text(k, 80))
			}
		}
		into, key := m.byID, i.Slack
		switch {
		case userID.MatchString(i.Slack):
		case address(i.Slack):
			if email == nil {
				return nil, fmt.Errorf("identity %s: addresses are not looked up here: write the ID of the user, such as U0123456789", who)
			}
			into, key = m.byEmail, strings.ToLower(i.Slack)
		default:
			return nil, fmt.Errorf("identity %q is neither the ID of a user of Slack, such as U0123456789, nor an e-mail address", who)
		}
		if _, twice := into[key]; twice {
			return nil, fmt.Errorf("identity %s is there twice: keep one", who)
		}
		into[key] = Person{User: i.User, Groups: append([]string(nil), i.Groups...)}
	}
	return m, nil
}

func address(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// Person finds a user by ID, then by e-mail address.
func (m *Identities) Person(ctx context.Context, slackUser string) (Person, bool, error) {
	if p, ok := m.byID[slackUser]; ok {
		return p, true, nil
	}
	if len(m.byEmail) == 0 {
		return Person{}, false, nil
	}
	email, err := m.email(ctx, slackUser)
	if err != nil || email == "" {
		return Person{}, false, err
	}
	p, ok := m.byEmail[strings.ToLower(email)]
	return p, ok, nil
}

// Directory looks users up in a workspace.
type Directory struct {
	opts DirectoryOptions
	http *http.Client
}

// DirectoryOptions are the options of a Directory.
type DirectoryOptions struct {
	// Token gives a bot token with users:read.email.
	Token func(ctx context.Context) (string, error)
	// Team is the ID of the workspace whose addresses are believed: in a channel shared with others, those decide about
	// the addresses of their own people.
	Team string
	// APIURL in the place of Slack's own.
	APIURL string
}

var teamID = regexp.MustCompile(`^[TE][A-Z0-9]{6,20}$`)

// NewDirectory makes a Directory.
func NewDirectory(opts DirectoryOptions) (*Directory, error) {
	switch {
	case opts.Token == nil:
		return nil, errors.New("to look up users of Slack, a token is needed")
	case !teamID.MatchString(opts.Team):
		return nil, fmt.Errorf("to look up users of Slack by e-mail address, the ID of the workspace is needed, such as T0123456789, and not %q", notify.Text(opts.Team, 40))
	}
	return &Directory{opts, newHTTP()}, nil
}

// CloseIdleConnections lets the connections go that are not in use.
func (d *Directory) CloseIdleConnections() { d.http.CloseIdleConnections() }

// Email is the address of a user if Slack has confirmed it and the user is a full member of the workspace, else "".
func (d *Directory) Email(ctx context.Context, slackUser string) (string, error) {
	token, err := d.opts.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("read the token for Slack: %w", err)
	}
	user, err := newClient(token, d.opts.APIURL, d.http).GetUserInfoContext(ctx, slackUser)
	if err != nil {
		if answered(err) == "user_not_found" {
			return "", nil
		}
		return "", explain(err)
	}
	if user.ID != slackUser || user.TeamID != d.opts.Team || user.Deleted || user.IsBot || user.IsStranger ||
		user.IsRestricted || user.IsUltraRestricted || !user.IsEmailConfirmed {
		return "", nil
	}
	return user.Profile.Email, nil
}
