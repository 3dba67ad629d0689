package herald

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/notify/slack"
)

// Desks gives the channels of Slack in which a Fleet is told of, or every Fleet with "", for slack.HandlerOptions. Those
// whose Secret cannot be read are missing, and named by the error.
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
		if err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: name}, &one); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		fleets = append(fleets, one)
	}
	var desks []slack.Desk
	var problems []error
	for i := range fleets {
		for _, n := range fleets[i].Spec.Notifications {
			if n.Slack == nil {
				continue
			}
			desk, err := r.desk(ctx, &fleets[i], n.Slack)
			switch {
			case err != nil:
				problems = append(problems, fmt.Errorf("notification %s of fleet %s: %w", n.Name, fleets[i].Name, err))
			case len(desk.SigningSecrets) > 0:
				desks = append(desks, desk)
			}
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
