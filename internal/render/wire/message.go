package wire

// Status begins the payload of a Reply.
type Status byte

// The answers to Open, List and Fetch.
const (
	Absent  Status = iota // nothing there
	File                  // a file; its content follows
	Dir                   // a directory whose content must be asked for name by name
	Tree                  // a directory; all of it follows, see [AppendEntries]
	Names                 // a directory; the names in it follow, see [AppendEntries]
	Refused               // not allowed; a sentence follows
)

// Entry is a file or directory within a Tree or Names reply. Path is relative to the directory.
type Entry struct {
	Path string
	Dir  bool
	Data []byte // content of a file within a Tree
}

// AppendEntries writes a list of entries.
func AppendEntries(b *Buffer, entries []Entry) {
	b.Uint(uint64(len(entries)))
	for _, e := range entries {
		b.String(e.Path)
		if e.Dir {
			b.Uint(1)
			continue
		}
		b.Uint(0)
		b.Data(e.Data)
	}
}

// Entries reads what AppendEntries wrote.
func (r *Reader) Entries() []Entry {
	n := r.Count()
	entries := make([]Entry, 0, min(n, 1<<12))
	for range n {
		e := Entry{Path: r.String()}
		if r.Uint() == 1 {
			e.Dir = true
		} else {
			e.Data = r.Data()
		}
		if r.bad {
			return nil
		}
		entries = append(entries, e)
	}
	return entries
}

// Params is what a worker is told of a job. It travels as JSON; the content of the folder, when it is small, follows
// as a Tree.
type Params struct {
	Path                  string         `json:"path"`
	Namespace             string         `json:"namespace,omitempty"`
	ReleaseName           string         `json:"releaseName,omitempty"`
	Chart                 *Chart         `json:"chart,omitempty"`
	ValuesFiles           []string       `json:"valuesFiles,omitempty"`
	Values                map[string]any `json:"values,omitempty"`
	KubeVersion           string         `json:"kubeVersion,omitempty"`
	APIVersions           []string       `json:"apiVersions,omitempty"`
	AllowNondeterministic bool           `json:"allowNondeterministic,omitempty"`
	SkipCRDs              bool           `json:"skipCRDs,omitempty"`
	OutputLimit           int            `json:"outputLimit"`
	FileLimit             int            `json:"fileLimit"`
}

// Chart names a chart outside of the repository.
type Chart struct {
	Repository string `json:"repository"`
	Name       string `json:"name,omitempty"`
	Version    string `json:"version,omitempty"`
	Digest     string `json:"digest,omitempty"`
	Devel      bool   `json:"devel,omitempty"` // pre-releases count when Version is a range or empty
	URL        string `json:"url,omitempty"`   // of the archive, from the index of the repository
}

// Fault is why a job failed. It travels as JSON.
type Fault struct {
	Sentence string `json:"sentence"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// Object is one rendered object as it travels and as it is cached.
type Object struct {
	Origin string
	JSON   []byte
}

// Output is what a job made.
type Output struct {
	Objects  []Object
	Warnings []string
}

// Append writes o.
func (o Output) Append(b *Buffer) {
	b.Uint(uint64(len(o.Objects)))
	for _, obj := range o.Objects {
		b.String(obj.Origin)
		b.Data(obj.JSON)
	}
	b.Uint(uint64(len(o.Warnings)))
	for _, w := range o.Warnings {
		b.String(w)
	}
}

// Output reads what [Output.Append] wrote.
func (r *Reader) Output() Output {
	var o Output
	n := r.Count()
	o.Objects = make([]Object, 0, min(n, 1<<12))
	for range n {
		obj := Object{Origin: r.String()}
		obj.JSON = r.Data()
		if r.bad {
			return Output{}
		}
		o.Objects = append(o.Objects, obj)
	}
	n = r.Count()
	for range n {
		o.Warnings = append(o.Warnings, r.String())
	}
	if r.bad {
		return Output{}
	}
	return o
}

// The first byte of what a chart is answered with.
const (
	IsArchive byte = iota // the archive follows
	IsIndex               // index.yaml of the repository follows
)

// FetchRequest asks for an input from outside of the repository; one of its fields is set. It travels as JSON.
type FetchRequest struct {
	Chart *Chart `json:"chart,omitempty"`
	URL   string `json:"url,omitempty"` // a file for kustomize
	Git   string `json:"git,omitempty"` // a folder of a Git repository for kustomize
}
