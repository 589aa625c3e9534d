// Command trunkline is a carrier-facing SIP edge.
//
// This package reads flags and configuration, builds the parts, joins them, runs them and drains them. It decides nothing
// about a call.
package main
