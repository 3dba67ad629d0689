package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/internal/delivery"
)

const schemaExample = `  # a file for the editor to check sengu.yaml with
  sengu schema delivery > sengu.schema.json

  # and the first line of a sengu.yaml that names it, for editors with the YAML language server
  # yaml-language-server: $schema=sengu.schema.json`

// schemaCommand is `sengu schema`.
func (p *program) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema delivery",
		Short: "The JSON Schema of sengu.yaml, for editors",
		Long: `Prints the JSON Schema of sengu.yaml, the file that says how a service is delivered. The
kinds that live in a cluster are described by the cluster: kubectl explain fleet.spec.`,
		Example:   schemaExample,
		GroupID:   groupRun,
		Args:      exactly("what to describe: delivery"),
		ValidArgs: []string{"delivery"},
		RunE: func(_ *cobra.Command, a []string) error {
			if a[0] != "delivery" {
				return usageError{fmt.Errorf("there is no schema of %q, only of delivery", a[0])}
			}
			p.printf("%s", delivery.Schema())
			return nil
		},
	}
}
