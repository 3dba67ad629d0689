package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/standing"
)

const restoreExample = `  # what would come back, and nothing done
  sengu restore https://git.example.com/shop/manifests.git --fleet shop --secret shop-git --dry-run

  # bring the fleet back into an empty cluster
  sengu restore https://git.example.com/shop/manifests.git --fleet shop --secret shop-git`

// restored are the flags of `restore`.
type restored struct {
	fleet, secret string
	dryRun, yes   bool
}

func (p *program) restoreCommand() *cobra.Command {
	var o restored
	cmd := &cobra.Command{
		Use:   "restore GIT-URL --fleet FLEET",
		Short: "Bring a fleet back whose cluster was lost, from Git alone",
		Long: `Reads from the repository what each environment of the fleet ran, which Sengu writes there to
the ref refs/sengu/state/FLEET, and makes the Fleet and its Clusters in the cluster that the
kubeconfig leads to. Sengu, which has to run there, then brings every environment to the
revision that it ran, and not to the head of the branch; what the branch has got since goes
through the environments as every change does.

Secrets are not in Git: make those that the Fleet and the Clusters name first. What exists
already is left as it is; a Fleet that has not compared anything yet begins with the record.

Whoever may push to any ref of the repository can write a record: look at it before you say
yes. A Fleet that is made without this verb believes of one only what was on its branch.`,
		Example: restoreExample,
		GroupID: groupAct,
		Args:    exactly("GIT-URL"),
		RunE: func(cmd *cobra.Command, a []string) error {
			if o.fleet == "" {
				return usageError{errors.New("say which fleet with --fleet")}
			}
			return p.restore(cmd.Context(), a[0], o)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.fleet, "fleet", "f", "", "name of the fleet")
	flags.StringVar(&o.secret, "secret", "", "Secret of the namespace with what the Git server asks for, as git.secretRef of the Fleet names it")
	flags.BoolVar(&o.dryRun, "dry-run", false, "say what would come back, and do nothing")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (p *program) restore(ctx context.Context, url string, o restored) error {
	pl, err := p.plane()
	if err != nil {
		return err
	}
	record, hash, err := pl.standing(ctx, url, o)
	if err != nil {
		return err
	}
	p.printf("%s", standingTable(record, p.painter(p.out)))
	if missing := pl.missingSecrets(ctx, record); len(missing) > 0 {
		p.notef("Secrets that have to be made in namespace %s before it can go on: %s\n", pl.namespace, strings.Join(missing, ", "))
	}
	if o.dryRun {
		return nil
	}
	if !o.yes {
		if err := p.ask(fmt.Sprintf("Bring fleet %s back into the cluster at %s?", o.fleet, pl.config.Host)); err != nil {
			return err
		}
	}
	confirmed := map[string]string{standing.AnnotationRestore: hash}
	fleet := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: pl.namespace, Name: o.fleet, Annotations: confirmed}, Spec: record.Fleet}
	objects := []client.Object{fleet}
	for name, spec := range record.Clusters {
		objects = append(objects, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: pl.namespace, Name: name}, Spec: spec})
	}
	for _, object := range slices.Backward(objects) { // the Clusters first
		err := pl.Create(ctx, object)
		switch {
		case apierrors.IsAlreadyExists(err) && object == client.Object(fleet):
			return p.begin(ctx, pl, o.fleet, hash)
		case apierrors.IsAlreadyExists(err):
			p.notef("Cluster %s exists already, and is left as it is\n", object.GetName())
		case err != nil:
			return pl.explain("make "+object.GetName(), err)
		}
	}
	p.notef("Fleet %s is back: `sengu get --watch` shows its apps arrive\n", o.fleet)
	return nil
}

// begin has a Fleet that exists already begin with a record, if it has not begun with anything.
func (p *program) begin(ctx context.Context, pl *plane, name, hash string) error {
	fleet := &v1alpha1.Fleet{}
	if err := pl.Get(ctx, types.NamespacedName{Namespace: pl.namespace, Name: name}, fleet); err != nil {
		return pl.explain("read Fleet "+name, err)
	}
	if fleet.Status.Revision != "" {
		p.notef("Fleet %s exists already and delivers: it is left as it is\n", name)
		return nil
	}
	if err := pl.annotate(ctx, fleet, standing.AnnotationRestore, hash); err != nil {
		return err
	}
	p.notef("Fleet %s exists already and has not begun: it begins with what it ran. `sengu get --watch` shows its apps arrive\n", name)
	return nil
}

// standing reads what a fleet ran from its repository, and the commit that says so.
func (pl *plane) standing(ctx context.Context, url string, o restored) (standing.Record, string, error) {
	var auth gitrepo.Auth
	if o.secret != "" {
		secret := &corev1.Secret{}
		if err := pl.Get(ctx, types.NamespacedName{Namespace: pl.namespace, Name: o.secret}, secret); err != nil {
			return standing.Record{}, "", pl.explain("read Secret "+o.secret, err)
		}
		var err error
		if auth, err = gitrepo.AuthFromSecret(secret.Data); err != nil {
			return standing.Record{}, "", fmt.Errorf("the Secret %s: %w", o.secret, err)
		}
	}
	dir, err := os.MkdirTemp("", "sengu-restore-")
	if err != nil {
		return standing.Record{}, "", fmt.Errorf("make a folder to read the repository into: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store, err := gitrepo.Open(dir, gitrepo.Options{})
	if err != nil {
		return standing.Record{}, "", err
	}
	defer func() { _ = store.Close() }()
	repository, err := store.Repository(url)
	if err != nil {
		return standing.Record{}, "", err
	}
	written, err := repository.FetchState(ctx, standing.Ref(o.fleet), auth)
	if errors.Is(err, gitrepo.ErrStateMissing) {
		return standing.Record{}, "", fmt.Errorf("the repository has no ref %s: no Sengu has written there what fleet %s runs", standing.Ref(o.fleet), o.fleet)
	}
	if err != nil {
		return standing.Record{}, "", err
	}
	record, err := standing.Read(written.Files)
	return record, written.Hash, err
}

// missingSecrets names the Secrets that the objects of a record name and the cluster does not have.
func (pl *plane) missingSecrets(ctx context.Context, record standing.Record) []string {
	return slices.DeleteFunc(secretsOf(record), func(name string) bool {
		return !apierrors.IsNotFound(pl.Get(ctx, types.NamespacedName{Namespace: pl.namespace, Name: name}, &corev1.Secret{}))
	})
}

// secretsOf names the Secrets that the objects of a record name, each once.
func secretsOf(record standing.Record) []string {
	fleet := record.Fleet
	refs := []*v1alpha1.SecretReference{fleet.Git.SecretRef, fleet.Git.WebhookSecretRef, fleet.Commits.SigningKeySecretRef}
	for _, remote := range fleet.Remotes {
		refs = append(refs, remote.SecretRef)
	}
	if fleet.Forge != nil {
		refs = append(refs, fleet.Forge.SecretRef)
	}
	if images := fleet.Images; images != nil {
		refs = append(refs, images.WebhookSecretRef)
		for i := range images.PullSecretRefs {
			refs = append(refs, &images.PullSecretRefs[i])
		}
	}
	for _, n := range fleet.Notifications {
		if n.Slack != nil {
			refs = append(refs, &n.Slack.SecretRef)
		}
		if n.Webhook != nil {
			refs = append(refs, &n.Webhook.SecretRef)
		}
	}
	for _, cluster := range record.Clusters {
		refs = append(refs, cluster.KubeconfigSecretRef)
	}
	var names []string
	for _, ref := range refs {
		if ref != nil && !slices.Contains(names, ref.Name) {
			names = append(names, ref.Name)
		}
	}
	slices.Sort(names)
	return names
}

// standingTable shows a record: how many services each environment ran, and at which revisions.
func standingTable(record standing.Record, c painter) string {
	var t table
	t.head("environment", "cluster", "services", "revisions")
	for _, env := range record.Fleet.Environments {
		n := 0
		var revisions, clusters []string
		for _, app := range record.Apps {
			if app.Environment == env.Name {
				n++
				revisions = append(revisions, short(app.Source.Revision))
				clusters = append(clusters, app.Source.Cluster) // not that of the fleet, while the service moves there
			}
		}
		t.add(cell{text: env.Name, style: bold}, cell{text: cmp.Or(some(unique(clusters), 4), env.Cluster)}, cell{text: strconv.Itoa(n)}, cell{text: some(unique(revisions), 4)})
	}
	return t.render(c)
}

// some lists the first few of words.
func some(words []string, most int) string {
	if len(words) > most {
		return strings.Join(words[:most], ", ") + fmt.Sprintf(" and %d more", len(words)-most)
	}
	return strings.Join(words, ", ")
}
