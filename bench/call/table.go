package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// table prints one row per system; ratios are to the first one, Kamailio where it is measured.
func table(p plan, all []*figures) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", machine())
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "system\tµs/call @%d\tratio\tµs/call @%d\tratio\tk instructions user+kernel @%d\tbest CPS ≥ 99.9 %%\tKiB/open call\tadded latency µs p50/p99 @%d\n",
		p.rate, p.high, p.rate, p.rate)
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.name,
			microseconds(f.low), times(f.lowRatio),
			microseconds(f.high), times(f.highRatio),
			kiloInstructions(f.low), count(f.best), kib(f.kib), f.latency)
	}
	w.Flush()
	for _, f := range all {
		for _, fault := range f.faults {
			fmt.Fprintf(&out, "note: %s\n", fault)
		}
	}
	return out.String()
}

func microseconds(c cost) string {
	switch {
	case c.microseconds == 0:
		return "n/a"
	case !c.outcome.clean():
		return fmt.Sprintf("%.1f (unclean)", c.microseconds)
	default:
		return fmt.Sprintf("%.1f", c.microseconds)
	}
}

func times(ratio float64) string {
	if ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", ratio)
}

func kiloInstructions(c cost) string {
	if c.user == 0 {
		return "n/a"
	}
	return fmt.Sprintf("%.0f + %.0f", c.user, c.kernel)
}

func count(n int) string {
	if n == 0 {
		return "n/a"
	}
	return fmt.Sprint(n)
}

func kib(x float64) string {
	if x == 0 {
		return "n/a"
	}
	return fmt.Sprintf("%.1f", x)
}
