package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/sengu-dev/sengu/internal/history"
)

const insightsExample = `  # the last thirty days, by environment
  sengu insights

  # of one service, over a quarter
  sengu insights checkout --since 2160h

  # every service by itself
  sengu insights --by service -e production`

// insightOptions are the flags of `insights`.
type insightOptions struct {
	scope  scope
	by     string
	since  time.Duration
	server string
	output string
}

func (p *program) insightsCommand() *cobra.Command {
	var o insightOptions
	cmd := &cobra.Command{
		Use:   "insights [SERVICE]",
		Short: "How often, how fast and how well changes are delivered: the four measures of DORA",
		Long: `Shows, from the history of Releases: how often changes are deployed, how long a commit takes
until it is live (median and 90th percentile), how many changes failed, and how long it took
until a failure was mended, as DORA defines them (dora.dev). Where there is not enough
evidence for a figure, it says so and shows none.

` + serverHelp,
		Example:           insightsExample,
		GroupID:           groupSee,
		Args:              args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: p.completeRelease,
		RunE: func(cmd *cobra.Command, a []string) error {
			service := ""
			if len(a) == 1 {
				service = a[0]
			}
			return p.insights(cmd.Context(), service, o)
		},
	}
	p.scopeFlags(cmd, &o.scope)
	cmd.Flags().StringVar(&o.by, "by", "environment", "environment, or service: each service by itself")
	cmd.Flags().DurationVar(&o.since, "since", 30*24*time.Hour, "how far back to look")
	cmd.Flags().StringVar(&o.server, "server", "", serverUsage)
	cmd.Flags().StringVarP(&o.output, "output", "o", "table", "table or json")
	complete(cmd, "by", "environment", "service")
	complete(cmd, "output", "table", "json")
	return cmd
}

func (p *program) insights(ctx context.Context, service string, o insightOptions) error {
	if o.by != "environment" && o.by != "service" {
		return usageError{fmt.Errorf("--by is %q: it must be environment or service", o.by)}
	}
	if o.output != "table" && o.output != "json" {
		return usageError{fmt.Errorf("-o is %q: it must be table or json", o.output)}
	}
	if o.since <= 0 {
		return usageError{fmt.Errorf("--since is %s: it must be a time such as 720h", o.since)}
	}
	query := url.Values{"since": {o.since.String()}, "by": {o.by}, "fleet": {o.scope.fleet}, "service": {service}, "environment": {o.scope.env}}
	body, err := p.inquire(ctx, o.server, "/api/v1/insights", query)
	if err != nil {
		return err
	}
	if o.output == "json" {
		p.printf("%s", body)
		return nil
	}
	var found []history.Insight
	if err := json.Unmarshal(body, &found); err != nil {
		return fmt.Errorf("read the answer of the Sengu server: %w", err)
	}
	if len(found) == 0 {
		p.notef("Nothing was delivered by a Release in the last %s.\n", duration.HumanDuration(o.since))
		return nil
	}
	var t table
	t.head("fleet", "service", "environment", "deployments", "a day", "lead time", "p90", "failed", "restored in")
	var whys []string
	for _, in := range found {
		figure := func(f history.Figure, show func(float64) string) cell {
			if f.Value == nil {
				if f.Why != "" {
					whys = append(whys, f.Why)
				}
				return cell{text: "-", style: dim}
			}
			return cell{text: show(*f.Value)}
		}
		name := in.Service
		if name == "" {
			name = "all"
		}
		t.add(cell{text: in.Fleet}, cell{text: name, style: bold}, cell{text: in.Environment}, cell{text: strconv.Itoa(in.Deployments)},
			figure(in.DeploymentFrequency, func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }),
			figure(in.LeadTime, seconds), figure(in.LeadTimeP90, seconds),
			figure(in.ChangeFailureRate, func(v float64) string { return fmt.Sprintf("%.0f %%", v*100) }),
			figure(in.TimeToRestore, seconds))
	}
	p.printf("%s", t.render(p.painter(p.out)))
	if len(whys) > 0 {
		p.notef("\n- stands for not enough evidence:\n")
	}
	for _, why := range unique(whys) {
		p.notef("  %s\n", strings.TrimPrefix(why, "not enough evidence: "))
	}
	return nil
}

// seconds says a number of seconds for a person.
func seconds(v float64) string {
	return duration.HumanDuration(time.Duration(v * float64(time.Second)))
}

// unique returns words, each once, in the order in which they come first.
func unique(words []string) []string {
	seen := map[string]bool{}
	var once []string
	for _, w := range words {
		if !seen[w] {
			seen[w] = true
			once = append(once, w)
		}
	}
	return once
}
