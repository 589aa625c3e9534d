package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// table prints one row per system; ratios are to Kamailio of the same run.
func table(p plan, all []*figures) string {
	var reference *figures
	for _, f := range all {
		if f.name == "kamailio" {
			reference = f
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", machine())
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "system\tµs/call @%d\tratio\tµs/call @%d\tratio\tk instructions user+kernel @%d\tbest CPS ≥ 99.9 %%\tKiB/open call\tadded latency µs p50/p99 @%d\n",
		p.rate, p.high, p.rate, p.rate)
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.name,
			microseconds(f.low), ratio(f.low, reference, func(r *figures) cost { return r.low }),
			microseconds(f.high), ratio(f.high, reference, func(r *figures) cost { return r.high }),
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

func ratio(c cost, reference *figures, of func(*figures) cost) string {
	if reference == nil || c.microseconds == 0 || of(reference).microseconds == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", c.microseconds/of(reference).microseconds)
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
