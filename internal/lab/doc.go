// Package lab keeps what the interop tests saw to work with which peer, and writes it as docs/interop.md.
//
// A test whose name begins with TestLab reports a cell for each thing that it saw: Passed. What a peer cannot do is said with the
// reason: Lacks. When all of these tests have run, the page is written, or compared with what ran: a cell that the page promises and
// that did not pass is a failure, and so is one that passed and that the page does not know.
//
// The tests of internal/peers are the callers; the package starts no peer and knows none.
package lab
