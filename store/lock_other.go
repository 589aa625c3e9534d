//go:build !unix

package store

import "os"

// lockDirectory opens the lock file; here nothing keeps a second process away but SQLite's own locks.
func lockDirectory(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
