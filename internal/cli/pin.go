package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const pinExample = `  # try the image of a branch in develop, until the evening
  sengu pin checkout --env develop --image registry.example.com/shop/checkout:pr-123 --for 8h --reason "try the new cart"

  # and take it back before that
  sengu unpin checkout --env develop`

// longestPin is how long an image may be pinned.
const longestPin = 30 * 24 * time.Hour

// pinOptions are the flags of `pin` and `unpin`.
type pinOptions struct {
	scope  scope
	image  string
	length time.Duration
	reason string
}

func (p *program) pinCommand() *cobra.Command {
	var o pinOptions
	cmd := &cobra.Command{
		Use:   "pin SERVICE --env ENVIRONMENT --image IMAGE --reason …",
		Short: "Run another tag of an image in an environment, for a time",
		Long: `Overrides an image of a service in one environment: every container that Git gives some tag
or digest of it runs this one. It is recorded and shown wherever the service is, is never
promoted to another environment, keeps no change of the service from being delivered, and
goes away by itself.`,
		Example:           pinExample,
		GroupID:           groupAct,
		Args:              exactly("SERVICE"),
		ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, a []string) error {
			switch {
			case o.image == "":
				return usageError{errors.New("say which image with --image, with a tag or a digest")}
			case o.reason == "":
				return usageError{errors.New("say why with --reason: others will see the pin and wonder")}
			case o.length <= 0 || o.length > longestPin:
				return usageError{fmt.Errorf("--for is %s: it must be more than nothing and at most %s", o.length, longestPin)}
			}
			return p.pin(cmd.Context(), a[0], o, true)
		},
	}
	p.scopeFlags(cmd, &o.scope)
	cmd.Flags().StringVar(&o.image, "image", "", "image to run, with a tag or a digest")
	cmd.Flags().DurationVar(&o.length, "for", 8*time.Hour, "how long; at most thirty days")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for everybody who sees it")
	return cmd
}

func (p *program) unpinCommand() *cobra.Command {
	var o pinOptions
	cmd := &cobra.Command{
		Use:               "unpin SERVICE --env ENVIRONMENT",
		Short:             "Run the image that Git says again, before a pin ends by itself",
		Example:           "  sengu unpin checkout --env develop",
		GroupID:           groupAct,
		Args:              exactly("SERVICE"),
		ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.pin(cmd.Context(), a[0], o, false)
		},
	}
	p.scopeFlags(cmd, &o.scope)
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the record")
	return cmd
}

// pin begins or ends a pin.
func (p *program) pin(ctx context.Context, word string, o pinOptions, begin bool) error {
	pl, _, app, err := p.find(ctx, word, o.scope)
	if err != nil {
		return err
	}
	if app.Spec.Service == "" {
		return fmt.Errorf("%s was written by hand: change its image where it is written", app.Name)
	}
	person, err := pl.whoAmI(ctx)
	if err != nil {
		return err
	}
	if err := pl.may(ctx, v1alpha1.VerbPin, app.Spec.Environment, app.Spec.Fleet, person); err != nil {
		return err
	}
	now := metav1.NewTime(p.now().Truncate(time.Second))
	err = pl.changeApp(ctx, app, func(fresh *v1alpha1.App) error {
		if begin {
			fresh.Spec.Pin = &v1alpha1.Pin{By: person.Username, At: now, Until: metav1.NewTime(now.Add(o.length)), Image: o.image, Reason: o.reason}
			return nil
		}
		if fresh.Spec.Pin.ImageAt(p.now()) == "" {
			return fmt.Errorf("nothing is pinned of %s in %s", app.Spec.Service, app.Spec.Environment)
		}
		fresh.Spec.Pin.Ended = &v1alpha1.HoldEnd{By: person.Username, At: now, Reason: o.reason}
		return nil
	})
	if err != nil {
		return err
	}
	if begin {
		p.notef("%s in %s runs %s until %s, as %s: `sengu unpin %s -e %s` takes it back\n", app.Spec.Service, app.Spec.Environment, o.image,
			now.Add(o.length).Local().Format("2006-01-02 15:04 MST"), person.Username, app.Spec.Service, app.Spec.Environment)
	} else {
		p.notef("%s in %s runs what Git says again\n", app.Spec.Service, app.Spec.Environment)
	}
	return nil
}
