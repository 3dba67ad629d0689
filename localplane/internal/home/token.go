package home

import (
	"crypto/rand"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// User is one who may call the API with a token.
type User struct {
	// Name is how the API calls the user, for example in managedFields.
	Name string
	// Groups are the groups that the user is in.
	Groups []string
}

// Tokens maps the name of a user to its token.
type Tokens map[string]string

// TokenFile is where the API server finds the tokens.
func (h *Home) TokenFile() string { return h.Path("tokens.csv") }

// Tokens returns the token of each user, as the last run had it; a user who is
// new gets one. The token file is rewritten when users or groups changed.
func (h *Home) Tokens(users []User) (Tokens, error) {
	old, err := os.ReadFile(h.TokenFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	known, err := parseTokens(string(old))
	if err != nil {
		return nil, fmt.Errorf("read tokens in %s: %w", h.TokenFile(), err)
	}
	tokens := Tokens{}
	for _, u := range users {
		tokens[u.Name] = known[u.Name]
		if tokens[u.Name] == "" {
			tokens[u.Name] = rand.Text()
		}
	}
	text, err := formatTokens(users, tokens)
	if err != nil {
		return nil, fmt.Errorf("format tokens: %w", err)
	}
	if text == string(old) {
		return tokens, nil
	}
	return tokens, writeFile(h.TokenFile(), []byte(text))
}

// parseTokens reads a token file of kube-apiserver: token, user, uid, groups.
func parseTokens(text string) (Tokens, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	tokens := Tokens{}
	for _, row := range rows {
		if len(row) >= 2 {
			tokens[row[1]] = row[0]
		}
	}
	return tokens, nil
}

// formatTokens writes a token file of kube-apiserver, sorted by user.
func formatTokens(users []User, tokens Tokens) (string, error) {
	sorted := slices.Clone(users)
	slices.SortFunc(sorted, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	w := csv.NewWriter(&b)
	for _, u := range sorted {
		if err := w.Write([]string{tokens[u.Name], u.Name, u.Name, strings.Join(u.Groups, ",")}); err != nil {
			return "", err
		}
	}
	w.Flush()
	return b.String(), w.Error()
}
