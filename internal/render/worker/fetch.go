package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/internal/render/remote"
	"github.com/sengu-dev/sengu/internal/render/wire"
)

// fetch asks the parent for something from outside of the repository.
func (j *job) fetch(q wire.FetchRequest) ([]byte, error) {
	payload, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	r, status, err := j.conn.ask(wire.Fetch, payload)
	if err != nil {
		return nil, err
	}
	if status == wire.Refused {
		return nil, faultf("", 0, "%s", r.String())
	}
	data := r.Data()
	if status != wire.File || r.Err() != nil {
		return nil, fmt.Errorf("fetch: unexpected answer %d", status)
	}
	return data, nil
}

// fetchChart returns the files of a chart from outside of the repository. The parent answers with the index of the
// repository when it does not know the archive; the index is read here, in the sandbox.
func (j *job) fetchChart(c wire.Chart) ([]*archive.BufferedFile, error) {
	data, err := j.fetch(wire.FetchRequest{Chart: &c})
	if err == nil && len(data) > 0 && data[0] == wire.IsIndex {
		if err = chooseFromIndex(&c, data[1:]); err == nil {
			data, err = j.fetch(wire.FetchRequest{Chart: &c})
		}
	}
	if err != nil {
		return nil, err
	}
	if len(data) == 0 || data[0] != wire.IsArchive {
		return nil, errors.New("fetch chart: unexpected answer")
	}
	files, err := archive.LoadArchiveFiles(bytes.NewReader(data[1:]))
	if err != nil {
		return nil, faultf("", 0, "the archive of chart %s cannot be read: %s", chartTitle(c), firstLine(err.Error()))
	}
	return files, nil
}

// chooseFromIndex sets where the archive is, and the digest that the index gives unless a digest is wanted already.
func chooseFromIndex(c *wire.Chart, index []byte) error {
	var i struct {
		Entries map[string][]struct {
			Version string   `json:"version"`
			URLs    []string `json:"urls"`
			Digest  string   `json:"digest"`
		} `json:"entries"`
	}
	if err := sigsyaml.Unmarshal(index, &i); err != nil {
		return faultf("", 0, "the index of the chart repository %s is not valid YAML", c.Repository)
	}
	entries, ok := i.Entries[c.Name]
	if !ok {
		return faultf("", 0, "the chart repository %s has no chart %s", c.Repository, c.Name)
	}
	versions := make([]string, len(entries))
	for n, e := range entries {
		versions[n] = e.Version
	}
	version, err := remote.Newest(versions, c.Version, c.Devel)
	if err != nil {
		return faultf("", 0, "chart %s: %s", chartTitle(*c), err)
	}
	e := entries[slices.Index(versions, version)]
	if len(e.URLs) == 0 {
		return faultf("", 0, "the index of %s does not say where the archive of %s %s is", c.Repository, c.Name, version)
	}
	c.URL = e.URLs[0]
	if c.Digest == "" {
		c.Digest = e.Digest
	}
	return nil
}

// fetchURL returns a file for kustomize.
func (j *job) fetchURL(u string) ([]byte, error) {
	if data, ok := j.urls[u]; ok {
		return data, nil
	}
	data, err := j.fetch(wire.FetchRequest{URL: u})
	if err != nil {
		return nil, err
	}
	if j.urls == nil {
		j.urls = map[string][]byte{}
	}
	j.urls[u] = data
	return data, nil
}

// fetchGit has the parent show a folder of another Git repository, and returns where in the tree it is shown.
func (j *job) fetchGit(u string) (string, error) {
	data, err := j.fetch(wire.FetchRequest{Git: u})
	return string(data), err
}

// transport stands in for the network: kustomize reads URLs with the default client of net/http, and what it asks for
// comes from the parent.
type transport struct{}

func (transport) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Body != nil {
		_ = q.Body.Close() // nothing is sent, so nothing is lost
	}
	if running == nil || q.Method != http.MethodGet {
		return nil, fmt.Errorf("no network in a render")
	}
	data, err := running.fetchURL(q.URL.String())
	if err != nil {
		if f, ok := asFault(err); ok && running.vfs.fault == nil {
			running.vfs.fault = faultf("", 0, "%s: %s", hideUser(q.URL.String()), f.Sentence)
		}
		return nil, err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(data)), ContentLength: int64(len(data)), Request: q,
	}, nil
}
