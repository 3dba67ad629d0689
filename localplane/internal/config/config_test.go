package config

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		args string
		want Config
	}{
		"Least":   {args: "--dir d", want: Config{Dir: "d", Nodes: 1, Timeout: DefaultTimeout}},
		"NoNodes": {args: "--dir d --nodes 0", want: Config{Dir: "d", Timeout: DefaultTimeout}},
		"All": {
			args: "--dir=d --nodes=3 --port=6443 --fsync --stop-on-stdin-eof --timeout=30s",
			want: Config{Dir: "d", Nodes: 3, Port: 6443, Fsync: true, StopOnEOF: true, Timeout: 30 * time.Second},
		},
		"Help":          {args: "--help", want: Config{Action: Help}},
		"HelpShort":     {args: "-h", want: Config{Action: Help}},
		"HelpWins":      {args: "--version --help", want: Config{Action: Help}},
		"HelpUnchecked": {args: "--nodes -1 --help", want: Config{Action: Help}},
		"Version":       {args: "--version", want: Config{Action: Version}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(strings.Fields(tc.args))
			if err != nil {
				t.Fatalf("Parse(%q): %v", tc.args, err)
			}
			if got != tc.want {
				t.Errorf("Parse(%q)\n got %+v\nwant %+v", tc.args, got, tc.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct {
		args string
		want string
	}{
		"NoDir":        {args: "", want: "--dir"},
		"EmptyDir":     {args: "--dir=", want: "--dir"},
		"NoValue":      {args: "--dir", want: "--dir"},
		"Unknown":      {args: "--dir d --node 3", want: "--node"},
		"Argument":     {args: "--dir d start", want: `"start"`},
		"NoNumber":     {args: "--dir d --nodes many", want: "many"},
		"NegativeNode": {args: "--dir d --nodes -1", want: "--nodes"},
		"ManyNodes":    {args: "--dir d --nodes 5001", want: "5000"},
		"NegativePort": {args: "--dir d --port -1", want: "--port"},
		"LargePort":    {args: "--dir d --port 65536", want: "65535"},
		"NoTimeout":    {args: "--dir d --timeout 0", want: "--timeout"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(strings.Fields(tc.args))
			if err == nil {
				t.Fatalf("Parse(%q) succeeded, want an error", tc.args)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Parse(%q): error %q lacks %q", tc.args, err, tc.want)
			}
			if strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("Parse(%q): error %q is more than one sentence", tc.args, err)
			}
		})
	}
}

// The manual is written by hand; this keeps it true.
func TestUsageNamesEveryFlag(t *testing.T) {
	flag := regexp.MustCompile(`(?m)^  --([a-z-]+)`)
	for _, m := range flag.FindAllStringSubmatch(Usage, -1) {
		_, err := Parse([]string{"--" + m[1]})
		if err != nil && strings.Contains(err.Error(), "unknown flag") {
			t.Errorf("the manual has --%s, which Parse does not know", m[1])
		}
	}
	flags(new(Config), new(bool), new(bool)).VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(Usage, "\n  --"+f.Name+" ") {
			t.Errorf("the manual lacks --%s", f.Name)
		}
	})
}
