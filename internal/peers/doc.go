// Package peers starts the programs that tests talk to, SIPp, Kamailio, baresip, linphone and sipsak, and the edge itself as a process of its own,
// all on loopback with files in the test's folder. A peer that is not installed skips the test by name, and fails it where CI is set.
//
// Whatever is started ends with its test, by process id, whether the test passes or not; a failed test keeps the logs in its
// artifact folder.
//
// The interop tests of this folder are the edge's system tests: `go test -tags interop ./internal/peers`. Tests that mostly wait run beside
// each other, those that load the machine alone. TRUNKLINE_LOAD=full asks for the load that a release is measured by, 1000 calls a second
// for a minute and 10,000 calls held; TRUNKLINE_TEST_BINARY names a binary to test in place of one built from this tree: the static
// one, or one with the race detector.
package peers
