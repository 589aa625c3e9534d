// Package bench holds the benchmark of a whole call through the edge in memory; command call, in its folder, measures the
// edge as a process, beside Kamailio.
package bench
