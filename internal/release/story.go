package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// Story tells what has happened to a Release, the oldest first. The same transition always has the same key.
func Story(r *v1alpha1.Release) []history.Event {
	events := make([]history.Event, 0, len(r.Status.Journal))
	for _, t := range r.Status.Journal {
		e := history.Event{
			Key: fmt.Sprintf("%s/%s/%d", r.UID, r.Name, t.Number), Time: t.At.Time, Kind: history.Kind(t.Kind),
			Fleet: r.Spec.Fleet, Service: r.Spec.Service, Environment: t.Environment, Release: r.Name, Group: r.Spec.Group,
			Revision: r.Spec.Revision, Title: r.Spec.Commit.Title, Author: r.Spec.Commit.Author,
			By: whoOf(t.By), Why: t.Why, Loud: t.Loud, Untouched: t.Untouched,
		}
		if r.Spec.Commit.Committed != nil {
			e.Committed = r.Spec.Commit.Committed.Time
		}
		for i := range r.Spec.Environments {
			if r.Spec.Environments[i].Name == t.Environment {
				e.Images = imagesOf(r.Spec.Environments[i].Images)
			}
		}
		for i := range r.Status.Environments {
			if r.Status.Environments[i].Name == t.Environment {
				e.Previous = r.Status.Environments[i].Previous
			}
		}
		if t.Revision != "" {
			e.Previous, e.Revision = e.Revision, t.Revision
		}
		events = append(events, e)
	}
	return events
}

// AppStory tells what people did to an environment of a service, whose Releases are given. That Sengu held it after a
// failure is told by the Release that failed, and so is the end of a hold that lets that Release in again.
func AppStory(app *v1alpha1.App, releases []v1alpha1.Release) []history.Event {
	h := app.Spec.Hold
	if h == nil {
		h = &v1alpha1.Hold{}
	}
	about := func(kind history.Kind, at int64, by, why string) history.Event {
		return history.Event{
			Key:   fmt.Sprintf("%s/%s/%s/%d", app.UID, app.Name, kind, at),
			Fleet: app.Spec.Fleet, Service: app.Spec.Service, Environment: app.Spec.Environment, Release: app.Spec.Release,
			Kind: kind, Revision: app.Spec.Source.Revision, By: by, Why: why,
		}
	}
	events := make([]history.Event, 0, 4)
	if h.By != "" {
		held := about(history.Held, h.At.Unix(), h.By, h.Reason)
		held.Time = h.At.Time
		events = append(events, held)
	}
	if h.Ended != nil && h.Ended.By != "" && !endIsTold(app, releases) {
		resumed := about(history.Resumed, h.Ended.At.Unix(), h.Ended.By, h.Ended.Reason)
		resumed.Time = h.Ended.At.Time
		events = append(events, resumed)
	}
	return append(events, pinStory(app, about)...)
}

// endIsTold reports whether a Release tells of the end of a hold, or will as soon as the end is taken in: the one that the
// hold kept out. While the hold names none yet, that may be any which has stopped there; see [decider.remember].
func endIsTold(app *v1alpha1.App, releases []v1alpha1.Release) bool {
	h := app.Spec.Hold
	for i := range releases {
		r := &releases[i]
		at := environmentOf(&r.Status, app.Spec.Environment)
		if at == nil || h.Release != "" && h.Release != r.Name {
			continue
		}
		toldBy := func(t v1alpha1.Transition) bool {
			return history.Kind(t.Kind) == history.Resumed && t.Environment == at.Name && t.By == h.Ended.By && t.Why == h.Ended.Reason &&
				!t.At.Time.Before(h.Ended.At.Truncate(time.Second))
		}
		takenIn := at.Resumed.Equal(&h.Ended.At) || h.Release == "" && at.Resumed != nil
		if slices.ContainsFunc(r.Status.Journal, toldBy) || stopped(at.Stage) && !takenIn {
			return true
		}
	}
	return false
}

// pinStory tells of an image that was pinned, and of its end once the App runs what Git says again.
func pinStory(app *v1alpha1.App, about func(kind history.Kind, at int64, by, why string) history.Event) []history.Event {
	p := app.Spec.Pin
	if p == nil {
		return nil
	}
	pinned := about(history.Pinned, p.At.Unix(), p.By, p.Reason)
	pinned.Time, pinned.Images = p.At.Time, imagesOf([]string{p.Image})
	events := append(make([]history.Event, 0, 2), pinned)
	if app.Status.Pinned != "" || app.Status.ObservedGeneration != app.Generation {
		return events
	}
	ended := about(history.Unpinned, p.At.Unix(), "sengu", "its time was over")
	ended.Time, ended.Images = p.Until.Time, pinned.Images
	if p.Ended != nil {
		ended.Time, ended.By, ended.Why = p.Ended.At.Time, whoOf(p.Ended.By), p.Ended.Reason
	}
	return append(events, ended)
}

// whoOf names who did something.
func whoOf(person string) string {
	if person == "" {
		return "sengu"
	}
	return person
}

// imagesOf takes references apart.
func imagesOf(references []string) []history.Image {
	images := make([]history.Image, 0, len(references))
	for _, ref := range references {
		image := history.Image{}
		ref, image.Digest, _ = strings.Cut(ref, "@")
		image.Name = ref
		if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
			image.Name, image.Tag = ref[:i], ref[i+1:]
		}
		images = append(images, image)
	}
	return images
}
