package herald

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/notify/slack"
)

// Desks gives the channels of Slack in which a Fleet is told of, or every Fleet with "", for slack.HandlerOptions. Those
// whose Secret cannot be read are missing, and named by the error. What it says is some seconds old at most.
func (r *Reconciler) Desks(ctx context.Context, name string) ([]slack.Desk, error) {
	var fleets []v1alpha1.Fleet
	if name == "" {
		var list v1alpha1.FleetList
		if err := r.Client.List(ctx, &list, client.InNamespace(r.Namespace)); err != nil {
			return nil, fmt.Errorf("list fleets: %w", err)
		}
		fleets = list.Items
	} else {
		var one v1alpha1.Fleet
		key := types.NamespacedName{Namespace: r.Namespace, Name: name}
		if err := r.Client.Get(ctx, key, &one); err != nil {
			r.desks.forget(key)
			return nil, client.IgnoreNotFound(err)
		}
		fleets = append(fleets, one)
	}
	var desks []slack.Desk
	var problems []error
	for i := range fleets {
		found, err := r.desksOf(ctx, &fleets[i])
		desks, problems = append(desks, found...), append(problems, err)
	}
	return desks, errors.Join(problems...)
}

const (
	// believed is how long the desks of a Fleet are kept. Whoever can reach Sengu may ask for them, before it is known who
	// asks, and must not make it read Secrets each time.
	believed = 5 * time.Second
	// lookup bounds one reading of them.
	lookup = 10 * time.Second
)

// deskbook keeps the desks of each Fleet for a moment.
type deskbook struct {
	mu    sync.Mutex
	pages map[types.NamespacedName]*deskpage
}

// deskpage holds the desks of one Fleet as they were read at a time, of one generation of it.
type deskpage struct {
	mu         sync.Mutex // held while they are read, so that who asks meanwhile waits for the same answer
	at         time.Time
	uid        types.UID
	generation int64
	desks      []slack.Desk
	err        error
}

func (b *deskbook) page(fleet types.NamespacedName) *deskpage {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pages == nil {
		b.pages = map[types.NamespacedName]*deskpage{}
	}
	if b.pages[fleet] == nil {
		b.pages[fleet] = &deskpage{}
	}
	return b.pages[fleet]
}

func (b *deskbook) forget(fleet types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pages, fleet)
}

// desksOf are those of one Fleet, a moment old at most.
func (r *Reconciler) desksOf(ctx context.Context, fleet *v1alpha1.Fleet) ([]slack.Desk, error) {
	if !slices.ContainsFunc(fleet.Spec.Notifications, func(n v1alpha1.Notification) bool { return n.Slack != nil }) {
		return nil, nil
	}
	p := r.desks.page(client.ObjectKeyFromObject(fleet))
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := r.Now().Sub(p.at); age >= 0 && age < believed && p.uid == fleet.UID && p.generation == fleet.Generation {
		return p.desks, p.err
	}
	// The answer is for others too, who must not get the error that one of them went away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookup)
	defer cancel()
	p.desks, p.err = r.readDesks(ctx, fleet)
	p.at, p.uid, p.generation = r.Now(), fleet.UID, fleet.Generation
	return p.desks, p.err
}

func (r *Reconciler) readDesks(ctx context.Context, fleet *v1alpha1.Fleet) ([]slack.Desk, error) {
	var desks []slack.Desk
	var problems []error
	for _, n := range fleet.Spec.Notifications {
		if n.Slack == nil {
			continue
		}
		desk, err := r.desk(ctx, fleet, n.Slack)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("notification %s of fleet %s: %w", n.Name, fleet.Name, err))
		case len(desk.SigningSecrets) > 0:
			desks = append(desks, desk)
		}
	}
	return desks, errors.Join(problems...)
}

// desk is one channel. It has no signing secret if the Secret has none.
func (r *Reconciler) desk(ctx context.Context, fleet *v1alpha1.Fleet, s *v1alpha1.SlackNotification) (slack.Desk, error) {
	secret, err := r.slackSecret(ctx, fleet, s)
	if err != nil {
		return slack.Desk{}, err
	}
	people, err := r.identities(fleet, s)
	if err != nil {
		return slack.Desk{}, err
	}
	desk := slack.Desk{Channel: s.Channel, Team: s.Team, Identities: people}
	if signing := trimmed(secret.Data[keySigning]); signing != "" {
		desk.SigningSecrets = [][]byte{[]byte(signing)}
	}
	if u, err := url.Parse(s.API); err == nil && u.Host != "" {
		desk.ResponsePrefix = u.Scheme + "://" + u.Host + "/"
	}
	return desk, nil
}

// identities says who may press in a channel.
func (r *Reconciler) identities(fleet *v1alpha1.Fleet, s *v1alpha1.SlackNotification) (*slack.Identities, error) {
	list := make([]slack.Identity, 0, len(s.Identities))
	for _, i := range s.Identities {
		list = append(list, slack.Identity{Slack: i.Slack, User: i.User, Groups: i.Groups})
	}
	if s.Team == "" {
		people, err := slack.NewIdentities(list, nil)
		if err != nil {
			return nil, fmt.Errorf("%w; set slack.team if it is an address", err)
		}
		return people, nil
	}
	directory, err := slack.NewDirectory(slack.DirectoryOptions{Token: r.token(fleet, s), Team: s.Team, APIURL: s.API})
	if err != nil {
		return nil, err
	}
	return slack.NewIdentities(list, directory.Email)
}
