package delivery

import (
	"os"
	"strings"
	"testing"
)

// TestDocs reads every example of the documentation as the file that it is of, or a part of it.
func TestDocs(t *testing.T) {
	for _, name := range []string{"../../docs/delivery.md", "../../docs/health.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```")
		examples := 0
		for i := 1; i < len(blocks); i += 2 {
			example, ok := strings.CutPrefix(blocks[i], "yaml\n")
			if !ok {
				continue
			}
			if !strings.Contains(example, "kind: Delivery") {
				example = head + example
			}
			if _, err := Parse("apps/cache/sengu.yaml", []byte(example)); err != nil {
				t.Errorf("example %d of %s: %v", i/2+1, name, err)
			}
			examples++
		}
		if examples == 0 {
			t.Errorf("%s has no example", name)
		}
	}
}
