package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	long := bytes.Repeat([]byte("long"), 1<<20)
	for _, parts := range [][][]byte{nil, {[]byte("a"), nil, []byte("bc")}, {long, []byte("x"), long}} {
		b.Reset()
		if err := WriteFrame(&b, Result, parts...); err != nil {
			t.Fatal(err)
		}
		k, got, err := ReadFrame(&b, 16<<20)
		if err != nil || k != Result || !bytes.Equal(got, bytes.Join(parts, nil)) {
			t.Errorf("kind %d, %d bytes, %v", k, len(got), err)
		}
	}
}

func TestReadFrameRefuses(t *testing.T) {
	tests := map[string]struct {
		in   string
		want error
	}{
		"nothing":     {"", io.EOF},
		"half header": {"\x01\x00", io.ErrUnexpectedEOF},
		"half frame":  {"\x05\x00\x00\x00\x06ab", io.ErrUnexpectedEOF},
		"lying":       {"\x00\x00\x20\x00\x06ab", io.ErrUnexpectedEOF},
		"too long":    {"\xff\xff\xff\xff\x06ab", ErrTooLong},
	}
	for name, test := range tests {
		if _, _, err := ReadFrame(bytes.NewReader([]byte(test.in)), 4<<20); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestOutput(t *testing.T) {
	want := Output{Objects: []Object{{Origin: "a:1", JSON: []byte("{}")}, {JSON: []byte(`{"a":1}`)}}, Warnings: []string{"w"}}
	var b Buffer
	want.Append(&b)
	r := NewReader(b.Bytes())
	if diff := cmp.Diff(want, r.Output()); diff != "" || r.Err() != nil || r.Rest() != 0 {
		t.Error(diff, r.Err(), r.Rest())
	}
}

// FuzzReadFrame shows that no stream makes the decoder panic, or reserve more than it got.
func FuzzReadFrame(f *testing.F) {
	var b Buffer
	Output{Objects: []Object{{Origin: "a", JSON: []byte("{}")}}, Warnings: []string{"w"}}.Append(&b)
	var frame bytes.Buffer
	if err := WriteFrame(&frame, Result, b.Bytes()); err != nil {
		f.Fatal(err)
	}
	f.Add(frame.Bytes())
	f.Add([]byte("\xff\xff\xff\x00\x06"))
	b = Buffer{}
	AppendEntries(&b, []Entry{{Path: "a", Dir: true}, {Path: "a/b", Data: []byte("c")}})
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		_, payload, err := ReadFrame(bytes.NewReader(data), 1<<20)
		if err == nil && len(payload) > len(data) {
			t.Fatal("more than was sent")
		}
		for _, p := range [][]byte{payload, data} {
			r := NewReader(p)
			if o := r.Output(); r.Err() != nil && len(o.Objects) > 0 {
				t.Fatal("objects from a corrupt payload")
			}
			r = NewReader(p)
			if e := r.Entries(); r.Err() != nil && len(e) > 0 {
				t.Fatal("entries from a corrupt payload")
			}
		}
	})
}
