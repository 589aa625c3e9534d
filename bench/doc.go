// Package bench holds the benchmark of a whole call through the edge in memory. The commands in its folders measure the edge as a
// process: call beside Kamailio, relay beside rtpengine, register with thousands of trunks at a Kamailio.
package bench
