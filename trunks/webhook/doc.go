// Package webhook tells organizations by HTTP what happened: it keeps their webhooks, signs each event after the Standard
// Webhooks specification, delivers it at least once, and tries again for three days.
//
// The API manages webhooks through a Service, and the daemon runs its Run. Events and deliveries are written by whoever changes
// something, in the same transaction; this package only reads them, so that nothing that was promised is lost with the process.
// It never connects to a private address unless the configuration allows that, follows no redirect, and keeps no answer.
package webhook
