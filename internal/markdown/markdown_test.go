package markdown_test

import (
	"testing"

	"github.com/sengu-dev/sengu/internal/markdown"
)

func TestCodeCannotBeEnded(t *testing.T) {
	for _, tt := range []struct {
		text  string
		limit int
		want  string
	}{
		{"@everyone", 100, "`@everyone`"},
		{"", 100, "` `"},
		{"a `b` c", 100, "``a `b` c``"},
		{"`a`", 100, "`` `a` ``"},
		{"two\nlines", 100, "`two lines`"},
		{"longer", 4, "`lon…`"},
		{"a\u202eb\x1b[1m", 100, "`a\ufffdb\ufffd[1m`"},
	} {
		if got := markdown.Code(tt.text, tt.limit); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestFencedCannotBeEnded(t *testing.T) {
	if got, want := markdown.Fenced("text", []string{"a", "````", "b"}), "`````text\na\n````\nb\n`````\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
