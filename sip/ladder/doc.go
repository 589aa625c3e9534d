// Package ladder draws SIP messages between parties as text: a column per party, one line per message, time going down.
//
// Logs, the debug pages, the command line and failing flow tests all print the same picture through it. The package is pure:
// it knows nothing of messages but their first line, keeps nothing and is safe to call from any goroutine.
package ladder
