package store

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
)

// TestADirectoryThatCannotBeWritten is tried as somebody else, since root may write anywhere.
func TestADirectoryThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: the mode of the directory is enough")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	for name, open := range map[string]func() error{
		"records": func() error {
			r, err := OpenRecords(dir, Options{})
			if err == nil {
				err = errors.Join(errors.New("opened"), r.Close(t.Context()))
			}
			return err
		},
		"configuration": func() error {
			d, err := Open(dir)
			if err == nil {
				err = errors.Join(errors.New("opened"), d.Close())
			}
			return err
		},
	} {
		result := make(chan error)
		go func() { // ends at once; its thread is given up with it
			runtime.LockOSThread()
			if os.Geteuid() == 0 {
				syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0) // this thread only: file access as nobody
			}
			result <- open()
		}()
		t.Run(name, func(t *testing.T) {
			checkOpenError(t, <-result, NotWritable, "cannot be written; check owner and mode")
		})
	}
}
