package webhook

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
)

// Event is what a template sees as dot, and data in the JSON. Its form is a promise: fields are added and never changed.
type Event struct {
	Key         string     `json:"key"`
	Kind        string     `json:"kind"`
	Fleet       string     `json:"fleet"`
	Service     string     `json:"service"`
	Environment string     `json:"environment"`
	Release     string     `json:"release"`
	Group       string     `json:"group"`
	Revision    string     `json:"revision"`
	Previous    string     `json:"previous"`
	Title       string     `json:"title"`
	Author      string     `json:"author"`
	Committed   *time.Time `json:"committed"`
	Images      []Image    `json:"images"`
	By          string     `json:"by"`
	Why         string     `json:"why"`
	Loud        bool       `json:"loud"`
	Untouched   bool       `json:"untouched"`
	// Time is the timestamp of the JSON.
	Time time.Time `json:"-"`
}

// Image is an image that the revision runs.
type Image struct {
	Name   string `json:"name"`
	Tag    string `json:"tag"`
	Digest string `json:"digest"`
}

type envelope struct {
	Version   int       `json:"version"`
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      Event     `json:"data"`
}

func newEvent(e history.Event) Event {
	out := Event{
		Key: e.Key, Kind: string(e.Kind), Fleet: e.Fleet, Service: e.Service, Environment: e.Environment,
		Release: e.Release, Group: e.Group, Revision: e.Revision, Previous: e.Previous, Title: e.Title, Author: e.Author,
		Images: make([]Image, 0, len(e.Images)), By: e.By, Why: e.Why, Loud: e.Loud, Untouched: e.Untouched, Time: e.Time.UTC(),
	}
	if !e.Committed.IsZero() {
		committed := e.Committed.UTC()
		out.Committed = &committed
	}
	for _, i := range e.Images {
		out.Images = append(out.Images, Image(i))
	}
	return out
}

func encode(e Event) ([]byte, error) {
	body, err := json.Marshal(envelope{Version: 1, Type: "sengu." + e.Kind, Timestamp: e.Time, Data: e})
	if err != nil {
		return nil, fmt.Errorf("encode the event: %w", err)
	}
	return body, nil
}
