// Package api is the HTTP door of the edge: metrics, health and readiness, recent calls, and what later stands beside them.
//
// cmd makes a Server and tells it what there is to ask about. The package decides nothing about a call and reads no file.
package api
