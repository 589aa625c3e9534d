package store

import (
	"errors"
	"io/fs"
	"syscall"
)

// OpenError says why a database cannot be used and what to do about it.
type OpenError struct {
	Path  string // of the directory or file
	Cause Cause
	Err   error // what was found underneath; may be nil
}

// Cause is why a database cannot be used, from a closed set.
type Cause string

const (
	DirectoryMissing Cause = "directory_missing"
	NotWritable      Cause = "not_writable"
	DiskFull         Cause = "disk_full"
	Corrupt          Cause = "corrupt"      // no database, or a damaged one
	NewerSchema      Cause = "newer_schema" // written by a later version
	Locked           Cause = "locked"       // another process holds it
	Failed           Cause = "failed"       // anything else
)

var causeWords = map[Cause]string{
	DirectoryMissing: "the directory does not exist",
	NotWritable:      "cannot be written; check owner and mode",
	DiskFull:         "the disk is full",
	Corrupt:          "is damaged or no database; move it away or restore a backup",
	NewerSchema:      "was written by a later version of trunkline; use that version or restore a backup",
	Locked:           "is in use by another process",
	Failed:           "cannot be opened",
}

// Error is one sentence: "/data/records.db: the disk is full (…)".
func (e *OpenError) Error() string {
	text := e.Path + ": " + causeWords[e.Cause]
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

// Unwrap returns what was found underneath.
func (e *OpenError) Unwrap() error { return e.Err }

// ErrNotFound is returned where one row was asked for and none is there.
var ErrNotFound = errors.New("not found")

// openError tells what err, met at path, means. A nil err stays nil, and an OpenError as it is.
func openError(path string, err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*OpenError](err); ok {
		return known
	}
	return &OpenError{Path: path, Cause: causeOf(err), Err: err}
}

func causeOf(err error) Cause {
	if known, ok := errors.AsType[*OpenError](err); ok {
		return known.Cause
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return DirectoryMissing
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return DiskFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return NotWritable
	}
	return driverCause(err)
}
