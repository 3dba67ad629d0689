package origin

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/render"
)

// Passing reports whether something that has nothing to do with what is rendered may be the cause of an error of a Maker,
// so that it is worth another try: a remote or an API server that does not answer, a Secret that is not there.
func Passing(err error) bool {
	failure, silent := (*render.Error)(nil), (*kube.CouldNotAskError)(nil)
	switch {
	case err == nil:
		return false
	case errors.As(err, &failure):
		return failure.Temporary
	case errors.As(err, &silent), errors.Is(err, gitrepo.ErrUnreachable), errors.Is(err, gitrepo.ErrCorrupt):
		return true
	}
	return apierrors.ReasonForError(err) != metav1.StatusReasonUnknown
}
