// Package store keeps what outlives the process, in SQLite: the configuration database and, in a file of its own, the
// call records.
//
// cmd opens it and hands it to those who need it. Nothing on the call path waits for it: Records.Write only
// appends to memory, and a disk that is slow, locked or full costs records, counted, never calls. It decides nothing
// about calls, trunks or numbers.
package store
