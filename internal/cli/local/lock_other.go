//go:build !unix

package local

import (
	"errors"
	"os/exec"
)

// lock is a file that one process holds, which only Unix has.
type lock struct{}

// errHeld says that another process holds a lock.
var errHeld = errors.New("another process holds it")

var errUnsupported = errors.New("a local plane needs Linux or macOS: run sengu up there, for instance in WSL")

func take(string) (*lock, error) { return nil, errUnsupported }
func (l *lock) release()         {}
func holder(string) int          { return 0 }
func terminate(int)              {}
func kill(int)                   {}
func detach(*exec.Cmd)           {}
func group(*exec.Cmd)            {}
func supported() error           { return errUnsupported }
