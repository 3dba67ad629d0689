package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/internal/render"
)

// versionInfo says which Sengu this is.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// Renderer is what status.renderer of an App says, and Renders what it stands for.
	Renderer string `json:"renderer"`
	Renders  string `json:"renders"`
}

// versionCommand is `sengu version`.
func (p *program) versionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Which Sengu this is",
		Example: "  sengu version\n  sengu version -o json",
		GroupID: groupRun,
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			v := versionOf()
			switch output {
			case "text":
				p.printf("sengu %s (%s, %s)\n", v, v.Go, v.Platform)
				return nil
			case "json", "yaml":
				text, err := encode(v, output)
				p.printf("%s", text)
				return err
			}
			return usageError{fmt.Errorf("-o is %q: it must be text, json or yaml", output)}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text, json or yaml")
	complete(cmd, "output", "text", "json", "yaml")
	return cmd
}

// versionOf reads what the Go toolchain recorded in the program.
func versionOf() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Renderer: render.Fingerprint(), Renders: render.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// String is the version with its commit.
func (v versionInfo) String() string {
	if v.Commit == "" {
		return v.Version
	}
	return v.Version + " at " + short(v.Commit)
}
