package delivery

// Image is one image of the service whose new versions are written into Git.
type Image struct {
	Name       string `json:"name" doc:"Name of the image: the one in the images of the kustomization, or the one in the comment of a marked field. Unique in the list." required:"true"`
	Repository string `json:"repository,omitempty" doc:"Repository with its registry and without a tag, such as registry.example.com/shop/checkout."`
	Track      Track  `json:"track,omitempty" doc:"Which of the tags of the repository is the one to run. Exactly one of semver, newest, digest and alphabetical."`
	Update     Update `json:"update,omitempty" doc:"Where the tag is written. Without it, into the images of the kustomization in the folder of the environment."`
	Skip       bool   `json:"skip,omitempty" doc:"Do not follow this image: for an environment whose image is written by hand." default:"false"`
	// At is the file and the line of the entry, for what is to be said about it.
	At string `json:"-"`
}

// Track says which tag of a repository is the one to run. Exactly one of Semver, Newest, Digest and Alphabetical is set.
type Track struct {
	Semver       string `json:"semver,omitempty" doc:"The highest version within a range, such as >=1.0.0 or 1.x. A version like 1.2.0-rc.1 counts only if the range names one, as >=1.0.0-0 does."`
	Newest       bool   `json:"newest,omitempty" doc:"The tag whose image was built last." default:"false"`
	Digest       string `json:"digest,omitempty" doc:"One tag that is moved, such as latest: its digest is followed."`
	Alphabetical Order  `json:"alphabetical,omitempty" doc:"The last tag in alphabetical order: by asc the greatest, as for dates, by desc the least." enum:"asc,desc"`
	Allow        string `json:"allow,omitempty" doc:"Regular expression (RE2): only tags that it matches are looked at."`
	Ignore       string `json:"ignore,omitempty" doc:"Regular expression (RE2): tags that it matches are not looked at."`
}

// Order is the order in which tags are put before the last is taken.
type Order string

// The orders of tags.
const (
	Ascending  Order = "asc"
	Descending Order = "desc"
)

// Update says where the tag of an image is written: into the images of a kustomization, into a file of values, or into a
// marked field. At most one of Kustomization, ValuesFile and MarkedFile is set; if none is, it is the kustomization in
// the folder of the environment. Paths begin at the root of the repository.
type Update struct {
	Kustomization string `json:"kustomization,omitempty" doc:"Kustomization whose images are written, relative to the folder of this file, or from the root of the repository with a leading slash. {environment} is replaced."`
	ValuesFile    string `json:"valuesFile,omitempty" doc:"File with values for a Helm chart, which goes with key. The path is as that of kustomization."`
	Key           string `json:"key,omitempty" doc:"The field of valuesFile that is written, such as image.tag."`
	MarkedFile    string `json:"markedFile,omitempty" doc:"YAML file in which the field to write ends with the comment # sengu:image NAME. The path is as that of kustomization."`
}
