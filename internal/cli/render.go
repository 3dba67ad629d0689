package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/internal/render"
)

const renderExample = `  # a kustomization, or a folder of YAML files
  sengu render apps/checkout/overlays/production

  # a Helm chart, with the values of an environment
  sengu render charts/gateway --helm-release gateway --namespace edge \
    --helm-values values.yaml --helm-values production.yaml

  # for a cluster of another version, with kinds of its own
  sengu render charts/gateway --kube-version v1.34.0 --api-versions monitoring.coreos.com/v1

  # what has changed since the last render
  sengu render apps/checkout/overlays/production | diff before.yaml -`

// renderOptions are the flags of `render`.
type renderOptions struct {
	namespace     string
	release       string
	values        []string
	kubeVersion   string
	apiVersions   []string
	noHooks       bool
	nondetermined bool
}

// renderCommand is `sengu render`.
func (p *program) renderCommand() *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:   "render PATH",
		Short: "The objects that a folder describes, as one YAML stream",
		Long: `Renders a folder as Sengu would (a kustomization, a Helm chart, or plain YAML and JSON)
and prints its objects as one YAML stream, sorted by kind, namespace and name. It needs
no plane and no network, and reads nothing outside the Git repository that PATH is in.
What a person should know is said on the standard error. Exit code 1, with one sentence
and nothing on the standard output, if the folder cannot be rendered.`,
		Example: renderExample,
		GroupID: groupSee,
		Args:    exactly("PATH, the folder to render,"),
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.render(cmd.Context(), a[0], o)
		},
	}
	flags := cmd.Flags()
	// It takes the place of the flag of the same name that says where Sengu's objects live, which a render does not use.
	flags.StringVarP(&o.namespace, "namespace", "n", "default", "namespace of the Helm release; objects keep the one that they are written with")
	flags.StringVar(&o.release, "helm-release", "", "name of the Helm release; the name of the folder by default")
	flags.StringArrayVar(&o.values, "helm-values", nil, "file with values for the chart; may be repeated, the last one wins")
	flags.StringVar(&o.kubeVersion, "kube-version", "", "version of Kubernetes that a chart sees")
	flags.StringSliceVar(&o.apiVersions, "api-versions", nil, "APIs that a chart sees beside the built-in ones")
	flags.BoolVar(&o.noHooks, "no-hooks", false, "leave out the hooks of a chart")
	flags.BoolVar(&o.nondetermined, "allow-nondeterministic", false, "let templates use random values and the time")
	return cmd
}

func (p *program) render(ctx context.Context, folder string, o renderOptions) error {
	q, closeTree, err := request(folder, o)
	if err != nil {
		return err
	}
	defer closeTree()
	renderer, err := render.New(render.Options{Workers: 1})
	if err != nil {
		return err
	}
	defer func() { _ = renderer.Close() }()
	result, err := renderer.Render(ctx, q)
	if err != nil {
		return renderSentence(err)
	}
	objects := result.Objects
	for _, h := range result.Hooks {
		if !o.noHooks {
			objects = append(objects, h.Object)
		}
	}
	var b bytes.Buffer
	if err := render.WriteYAML(&b, objects); err != nil {
		return err
	}
	for _, w := range result.Warnings {
		p.notef("note: %s\n", w)
	}
	p.printf("%s", b.String())
	return nil
}

// renderSentence keeps of an error what the renderer says about the files, and not who asked.
func renderSentence(err error) error {
	var e *render.Error
	if errors.As(err, &e) {
		return e
	}
	return err
}

// request says what to render for a folder on disk. The caller calls the function that is returned at the end.
func request(folder string, o renderOptions) (render.Request, func(), error) {
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return render.Request{}, nil, fmt.Errorf("there is no folder %s: name one with a kustomization, a Helm chart or YAML files", folder)
	case err != nil:
		return render.Request{}, nil, fmt.Errorf("%s cannot be read: %w", folder, reason(err))
	case !info.IsDir():
		return render.Request{}, nil, fmt.Errorf("%s is a file: name the folder that it is in, %s", folder, filepath.Dir(folder))
	}
	tree, name, err := render.WorkingTree(folder)
	if err != nil {
		return render.Request{}, nil, err
	}
	closeTree := func() { _ = tree.Close() }
	q := render.Request{
		Source: tree, Path: name, Namespace: o.namespace, Release: o.release,
		Capabilities:          render.Capabilities{KubeVersion: o.kubeVersion, APIVersions: o.apiVersions},
		AllowNondeterministic: o.nondetermined,
	}
	if q.ValuesFiles, err = within(folder, name, o.values); err != nil {
		closeTree()
		return render.Request{}, nil, err
	}
	return q, closeTree, nil
}

// within says files, which are paths of the working directory, as names in the repository in which folder is called
// name.
func within(folder, name string, files []string) ([]string, error) {
	if len(files) == 0 {
		return nil, nil
	}
	abs, err := resolved(folder)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", folder, reason(err))
	}
	top := abs
	if name != "." {
		top = cmp.Or(strings.TrimSuffix(abs, string(filepath.Separator)+filepath.FromSlash(name)), string(filepath.Separator))
	}
	names := make([]string, 0, len(files))
	for _, file := range files {
		path, err := resolved(file)
		if err != nil {
			return nil, fmt.Errorf("values file %s cannot be read: %w", file, reason(err))
		}
		rel, err := filepath.Rel(top, path)
		if err != nil || !filepath.IsLocal(rel) {
			return nil, fmt.Errorf("values file %s is outside of the repository of %s: copy it there", file, folder)
		}
		names = append(names, filepath.ToSlash(rel))
	}
	return names, nil
}

// resolved returns the absolute path of a file without links.
func resolved(file string) (string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}
