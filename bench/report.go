package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// figure is what was measured for one workload. A field that makes no sense for it is 0.
type figure struct {
	Workload string `json:"workload"`
	Apps     int    `json:"apps"`
	// Objects that the workload is about.
	Objects int     `json:"objects"`
	WallS   float64 `json:"wall_s"`
	FloorS  float64 `json:"floor_s"`
	// Ratio of WallS to FloorS.
	Ratio float64 `json:"ratio"`
	// CPUS is the CPU time of all of Sengu's processes, in seconds.
	CPUS float64 `json:"cpu_s"`
	// RSSMiB is the peak of Sengu's memory: the proportional set sizes of its processes, summed. EndRSSMiB is the same
	// at the end.
	RSSMiB    float64 `json:"rss_mib"`
	EndRSSMiB float64 `json:"end_rss_mib"`
	P50MS     float64 `json:"p50_ms"`
	P99MS     float64 `json:"p99_ms"`
	// FloorP50MS and FloorP99MS are the latencies of the floor, where it has some.
	FloorP50MS float64 `json:"floor_p50_ms,omitempty"`
	FloorP99MS float64 `json:"floor_p99_ms,omitempty"`
	// CPUPerCommitS is of F2, CPUPercent of one core of F5.
	CPUPerCommitS float64 `json:"cpu_per_commit_s,omitempty"`
	CPUPercent    float64 `json:"cpu_percent,omitempty"`
	// BookkeepingPerStep is, of R1, how many requests there were beside the applies, for each Release and environment that
	// it came to.
	BookkeepingPerStep float64 `json:"bookkeeping_per_step,omitempty"`
	// Requests to the API server by verb.
	Requests tally `json:"requests"`
}

func (f *figure) setLatencies(l []time.Duration) {
	f.P50MS, f.P99MS = percentile(l, 50), percentile(l, 99)
}

// setFloor sets what the floor took beside what Sengu took.
func (f *figure) setFloor(b bound) {
	f.FloorS = b.wall.Seconds()
	f.FloorP50MS, f.FloorP99MS = percentile(b.latencies, 50), percentile(b.latencies, 99)
	if f.FloorS > 0 {
		f.Ratio = f.WallS / f.FloorS
	}
}

// percentile returns the smallest latency that p of 100 do not exceed, in milliseconds; 0 of none.
func percentile(l []time.Duration, p int) float64 {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l))
	rank := (len(l)*p + 99) / 100
	return float64(sorted[rank-1]) / float64(time.Millisecond)
}

// median combines the runs of one workload, number by number. The ratio is the median of the ratios, each of figures
// that were measured in the same run.
func median(runs []figure) figure {
	result := runs[0]
	for _, field := range []func(*figure) *float64{
		func(f *figure) *float64 { return &f.WallS }, func(f *figure) *float64 { return &f.FloorS },
		func(f *figure) *float64 { return &f.Ratio }, func(f *figure) *float64 { return &f.CPUS },
		func(f *figure) *float64 { return &f.RSSMiB }, func(f *figure) *float64 { return &f.EndRSSMiB },
		func(f *figure) *float64 { return &f.P50MS }, func(f *figure) *float64 { return &f.P99MS },
		func(f *figure) *float64 { return &f.FloorP50MS }, func(f *figure) *float64 { return &f.FloorP99MS },
		func(f *figure) *float64 { return &f.CPUPerCommitS }, func(f *figure) *float64 { return &f.CPUPercent },
		func(f *figure) *float64 { return &f.BookkeepingPerStep },
	} {
		values := make([]float64, len(runs))
		for i := range runs {
			values[i] = *field(&runs[i])
		}
		*field(&result) = math.Round(middle(values)*1e4) / 1e4 // the rest is noise
	}
	result.Requests = tally{}
	for _, run := range runs {
		maps.Copy(result.Requests, run.Requests) // for the verbs
	}
	for verb := range result.Requests {
		values := make([]int64, len(runs))
		for i := range runs {
			values[i] = runs[i].Requests[verb]
		}
		result.Requests[verb] = middle(values)
	}
	return result
}

// middle is the median, the mean of two where there is no one in the middle.
func middle[T int64 | float64](values []T) T {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// medians combines runs, workload by workload.
func medians(runs [][]figure) []figure {
	result := make([]figure, 0, len(runs[0]))
	for i := range runs[0] {
		same := make([]figure, 0, len(runs))
		for _, run := range runs {
			same = append(same, run[i])
		}
		result = append(result, median(same))
	}
	return result
}

// target is what a workload must reach at 1,000 Apps.
type target struct {
	workload, what string
	limit          float64
	unit           string
	of             func(figure) float64
}

var targets = []target{
	{"f1", "ratio to the floor", 1.7, "", func(f figure) float64 { return f.Ratio }},
	{"f1", "memory at the end", 200, " MiB", func(f figure) float64 { return f.EndRSSMiB }},
	{"f2", "p99 from push to applied", 500, " ms", func(f figure) float64 { return f.P99MS }},
	{"f2", "CPU a commit", 0.2, " s", func(f figure) float64 { return f.CPUPerCommitS }},
	{"f3", "ratio to the floor", 1.6, "", func(f figure) float64 { return f.Ratio }},
	{"f4", "p99 until drift is undone", 300, " ms", func(f figure) float64 { return f.P99MS }},
	{"f5", "CPU of one core", 1, " %", func(f figure) float64 { return f.CPUPercent }},
	{"r1", "ratio to the floor", 3, "", func(f figure) float64 { return f.Ratio }},
	{"r1", "requests beside the applies, for each Release and environment", 12, "", func(f figure) float64 { return f.BookkeepingPerStep }},
	{"f6-kept", "until ready", 5, " s", func(f figure) float64 { return f.WallS }},
	{"f6-lost", "until ready", 5, " s", func(f figure) float64 { return f.WallS }},
	{"f6-kept", "writes", 0, "", writes},
	{"f6-lost", "writes", 0, "", writes},
}

// writes counts the requests that change something. Those to objects of the workload fail the benchmark; what is left
// to see here are writes to Sengu's own objects, which a restart should do without.
func writes(f figure) float64 {
	n := f.Requests["create"] + f.Requests["update"] + f.Requests["patch"] + f.Requests["apply"] + f.Requests["delete"]
	return float64(n)
}

// printer prints until the first error, which it keeps.
type printer struct {
	to  io.Writer
	err error
}

func (p *printer) printf(format string, values ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format, values...)
	}
}

// report prints tables for people, and then one JSON object a line.
func report(out io.Writer, figures []figure) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	table, text := printer{to: w}, printer{to: out}
	table.printf("workload\tapps\tobjects\twall s\tfloor s\tratio\tCPU s\tpeak MiB\tend MiB\tp50 ms\tp99 ms\tfloor p50\tfloor p99\t\n")
	for _, f := range figures {
		table.printf("%s\t%d\t%d\t%.2f\t%s\t%s\t%.2f\t%.0f\t%.0f\t%s\t%s\t%s\t%s\t\n", f.Workload, f.Apps, f.Objects,
			f.WallS, number(f.FloorS, 2), number(f.Ratio, 2), f.CPUS, f.RSSMiB, f.EndRSSMiB,
			number(f.P50MS, 0), number(f.P99MS, 0), number(f.FloorP50MS, 1), number(f.FloorP99MS, 1))
	}
	if err := errors.Join(table.err, w.Flush()); err != nil {
		return err
	}
	text.printf("\nRequests to the API server:\n")
	for _, f := range figures {
		text.printf("  %-8s %s\n", f.Workload, cmp.Or(f.Requests.String(), "none"))
	}
	text.printf("\nTargets, which are for 1,000 Apps:\n")
	for _, t := range targets {
		for _, f := range figures {
			if f.Workload == t.workload {
				text.printf("  %-8s %s\n", t.workload, t.judge(f))
			}
		}
	}
	text.printf("\n")
	if text.err != nil {
		return text.err
	}
	lines := json.NewEncoder(out)
	for _, f := range figures {
		if err := lines.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// judge says whether a figure reaches the target, and how far it is from it.
func (t target) judge(f figure) string {
	value := t.of(f)
	verdict := "reached"
	switch {
	case value <= t.limit:
	case t.limit == 0:
		verdict = "missed"
	default:
		verdict = fmt.Sprintf("missed by %.0f %%", (value/t.limit-1)*100)
	}
	plain := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + t.unit }
	return fmt.Sprintf("%s: %s, at most %s: %s", t.what, plain(math.Round(value*1000)/1000), plain(t.limit), verdict)
}

// number leaves out what was not measured.
func number(v float64, digits int) string {
	if v == 0 {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
