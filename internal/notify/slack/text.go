package slack

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sengu-dev/sengu/internal/notify"
)

var (
	entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	// alike are characters that look like those that begin or end a format.
	alike = map[rune]rune{'*': '∗', '_': 'ˍ', '~': '∼', '`': 'ˋ'}
	emoji = regexp.MustCompile(`:([A-Za-z0-9_+'-]+):`)
	// everybody is how people call a channel by hand. It is text already, by how messages are sent, and twice is better.
	everybody = regexp.MustCompile(`@(here|channel|everyone)\b`)
)

// escape makes plain text of at most so many characters of what strangers wrote, to stand in mrkdwn. With its three
// entities, which are all that Slack has for it, nothing is mentioned or linked. There is none for the characters of
// formats, so where one could begin or end a format, another that looks like it takes its place.
func escape(s string, most int) string {
	runes := []rune(notify.Text(s, most))
	for i, r := range runes {
		other, formats := alike[r]
		if formats && (r == '`' || !wordAt(runes, i-1) || !wordAt(runes, i+1)) {
			runes[i] = other
		}
	}
	return neutral(emoji.ReplaceAllString(string(runes), "\ua789${1}\ua789"))
}

func neutral(s string) string {
	return entities.Replace(everybody.ReplaceAllString(s, "＠$1"))
}

// wordAt reports whether a letter or digit is at i, beside which no format begins or ends.
func wordAt(runes []rune, i int) bool {
	return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
}

// plain makes the text of a plain_text object of at most so many characters, of which an entity counts as it is written.
func plain(s string, most int) string {
	for n := most; n > 0; n-- {
		if out := neutral(notify.Text(s, n)); utf8.RuneCountInString(out) <= most {
			return out
		}
	}
	return ""
}

// date shows a time in the reader's own zone.
func date(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04 UTC"))
}

// maxLink is the longest address that is linked, in bytes.
const maxLink = 1000

// link is a link in mrkdwn, or the text alone if the address is not one of a page. The text is escaped already.
func link(address, text string) string {
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") || strings.ContainsAny(address, "<>| \n") || len(address) > maxLink {
		return text
	}
	return "<" + strings.ReplaceAll(address, "&", "&amp;") + "|" + text + ">"
}

// pages joins lines into texts of at most so many characters. Lines that do not fit into so many texts are counted.
func pages(lines []string, most, texts int) (out []string, left int) {
	for i, line := range lines {
		n := len(out)
		switch {
		case utf8.RuneCountInString(line) > most:
			left++
		case n > 0 && utf8.RuneCountInString(out[n-1])+1+utf8.RuneCountInString(line) <= most:
			out[n-1] += "\n" + line
		case n < texts:
			out = append(out, line)
		default:
			return out, left + len(lines) - i
		}
	}
	return out, left
}
