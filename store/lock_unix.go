//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"
)

// lockDirectory takes the lock that says: this process writes the call records here. The kernel gives it back when the
// process ends, however it ends.
func lockDirectory(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = &OpenError{Path: path, Cause: Locked, Err: errors.New("another trunkline runs on this directory")}
		}
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
