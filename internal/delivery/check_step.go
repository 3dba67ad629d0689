package delivery

import (
	"regexp"
	"strings"
	"unicode"
)

var (
	// objectName is what a Job may be called, whose name becomes a label.
	objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	// accountName is what other objects may be called.
	accountName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
)

const (
	maxName   = 253 // of an object, in bytes
	maxReason = 300 // in bytes
)

func (d *decoder) step(s *Step, at string) {
	s.At = d.at(at)
	switch {
	case s.Job != "" && s.Name != "":
		d.refuse(at, "name", "does not go with job: the step is called as its Job")
	case s.Job != "" && s.Image != "":
		d.refuse(at, "image", "and job exclude each other: a step is a Job of the service, or one that is written here")
	case s.Job == "" && s.Name == "":
		d.fail(d.line(at), "%s needs a job, which is the name of a Job of the service, or a name and an image", at)
	case s.Job == "" && s.Image == "" && !s.Skip:
		d.fail(d.line(at), "%s needs an image that it runs, or in place of name a job, which is the name of a Job of the service", at)
	}
	d.jobName(s.Job, at, "job")
	if s.Name != "" && !objectName.MatchString(s.Name) {
		d.refuse(at, "name", "must be lower-case letters, digits and dashes, at most 63")
	}
	d.work(s.Work, at, s.Job != "")
	if s.Job != "" {
		s.Name = s.Job
	}
}

func (d *decoder) jobName(name, at, field string) {
	if name != "" && !objectName.MatchString(name) {
		d.refuse(at, field, "must be the name of a Job: lower-case letters, digits and dashes, at most 63")
	}
}

// work checks what a Job runs. One that is among the objects of the service says that itself.
func (d *decoder) work(w Work, at string, among bool) {
	if among {
		for _, name := range []string{"command", "args", "env", "serviceAccountName", "backoffLimit"} {
			if _, there := d.lines[join(at, name)]; there {
				d.refuse(at, name, "is said by the Job of the service itself: change it there")
			}
		}
		return
	}
	if w.Image != "" {
		switch ref := w.Image; {
		case !imageReference.MatchString(ref) || len(ref) > 2*maxReference:
			d.refuse(at, "image", "must be an image, such as registry.example.com/shop/tools:1.2.0")
		case !strings.ContainsAny(ref[strings.LastIndex(ref, "/")+1:], ":@"):
			d.refuse(at, "image", "must have a tag or a digest: what is run would change without a commit")
		}
	}
	if w.ServiceAccountName != "" && (!accountName.MatchString(w.ServiceAccountName) || len(w.ServiceAccountName) > maxName) {
		d.refuse(at, "serviceAccountName", "must be the name of a service account")
	}
	for name := range w.Env {
		if !variableName.MatchString(name) {
			d.fail(d.line(join(join(at, "env"), name)), "%s: %q cannot be the name of an environment variable", join(at, "env"), name)
		}
	}
}

func (d *decoder) checkEntry(c *Check, at string) {
	c.At = d.at(at)
	if !accountName.MatchString(c.Name) || len(c.Name) > 63 {
		d.refuse(at, "name", "must be lower-case letters, digits, dashes and dots, at most 63")
	}
	if c.HTTP != nil {
		d.http(c.HTTP, join(at, "http"))
	}
	if c.Job == nil {
		return
	}
	if c.HTTP != nil {
		d.refuse(at, "job", "and http exclude each other: write a check for each")
	}
	within := join(at, "job")
	d.jobName(c.Job.Name, within, "name")
	switch {
	case c.Job.Name != "" && c.Job.Image != "":
		d.refuse(within, "image", "and name exclude each other: it is a Job of the service, or one that is written here")
	case c.Job.Name == "" && c.Job.Image == "":
		d.fail(d.line(within), "%s needs a name, which is that of a Job of the service, or an image", within)
	}
	d.work(c.Job.Work, within, c.Job.Name != "")
}

func (d *decoder) rollback(r Rollback, at string) {
	where := join(at, "blocked")
	switch {
	case d.lines[where] == 0: // not there
	case strings.TrimSpace(r.Blocked) == "":
		d.refuse(at, "blocked", "must say why one cannot go back, such as: the migration drops a column")
	case strings.ContainsFunc(r.Blocked, unicode.IsControl) || len(r.Blocked) > maxReason:
		d.refuse(at, "blocked", "must be one line of at most 300 letters")
	}
}
