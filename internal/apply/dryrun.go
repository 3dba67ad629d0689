package apply

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// DryRun returns what item would become if it were applied now, with defaults and webhooks, and writes nothing. fields
// are those of it that are left to others. An object that does not exist is returned as it would be made.
func DryRun(ctx context.Context, conn *kube.Conn, item manifest.Item, fields []manifest.FieldPath, o Options) (*unstructured.Unstructured, error) {
	w := &writer{conn: conn, Options: o, manager: o.Owner.Manager()}
	c := Change{Ref: item.Ref, Action: Update, Wanted: true, Item: item, Fields: fields}
	u, err := w.apply(ctx, patch{object: reduced(c), manager: w.manager, force: true, dryRun: true})
	if err != nil {
		return nil, &Error{*w.fail(c, err)}
	}
	return u, nil
}

// Error is a Failure as an error.
type Error struct{ Failure }

func (e *Error) Error() string { return e.Sentence }
