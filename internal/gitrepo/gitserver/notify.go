package gitserver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Hook is a webhook of Sengu's generic form, called after a push.
type Hook struct {
	// URL is where to POST; BaseURL is what this server is reached at, to which the path of the repository is added.
	URL, BaseURL string
	// Secret signs the body with HMAC-SHA256 in the header X-Sengu-Signature.
	Secret []byte
	// Client is http.DefaultClient when nil.
	Client *http.Client
	// Logger gets failures; none when nil.
	Logger *slog.Logger
}

// OnPush posts one notification; it fits Options.OnPush. It waits 5 s at most, and a failure is logged only, because a
// poll finds the commit as well.
func (h Hook) OnPush(repo, branch, before, after string) {
	if err := h.post(repo, branch, before, after); err != nil && h.Logger != nil {
		h.Logger.Warn("webhook failed", "repo", repo, "err", err)
	}
}

func (h Hook) post(repo, branch, before, after string) error {
	body, err := json.Marshal(map[string]string{
		"repository": strings.TrimSuffix(h.BaseURL, "/") + "/" + repo, "branch": branch, "before": before, "after": after,
	})
	if err != nil {
		return fmt.Errorf("encode notification: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	mac := hmac.New(sha256.New, h.Secret)
	mac.Write(body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Sengu-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	client := h.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("post notification: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("post notification: status %d", resp.StatusCode)
	}
	return nil
}
