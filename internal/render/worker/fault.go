package worker

import (
	"errors"
	"fmt"

	"github.com/sengu-dev/sengu/internal/render/wire"
)

// fault is an error that a person can act on: one sentence with the file, the line where known, and the way out.
type fault struct{ wire.Fault }

func (f *fault) Error() string { return f.Sentence }

// faultf makes a fault in file at line; an unknown file is "" and an unknown line is 0.
func faultf(file string, line int, format string, args ...any) *fault {
	return &fault{wire.Fault{Sentence: fmt.Sprintf(format, args...), File: file, Line: line}}
}

// at writes file and line for the beginning of a sentence.
func at(file string, line int) string {
	if line > 0 {
		return fmt.Sprintf("%s:%d", file, line)
	}
	return file
}

// asFault finds the fault in err.
func asFault(err error) (*fault, bool) {
	var f *fault
	ok := errors.As(err, &f)
	return f, ok
}
