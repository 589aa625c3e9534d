// Package siptest plays flow files: SIP conversations between the edge and scripted parties, on a network in memory,
// inside a testing/synctest bubble, so that 32 s are 32 s and cost nothing.
//
// Run takes a folder of flow files and a constructor for the edge; testdata/flows/README.md is the reference of the format.
// Network stands in for package transport and is of use without flow files too: a test may attach Endpoints of its own.
//
// Nothing here uses the edge's own parser or writer: a message the edge sends is read by an independent reader and held
// against the RFC's rules for every message (lint.go) before the flow's own expectations are.
package siptest
