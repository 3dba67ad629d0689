package cli

import (
	"fmt"
	"time"
)

// pause is how often progress is told at most where each is a line of its own.
const pause = 2 * time.Second

// progressBar tells how far something has come: on a terminal in one line that changes, else in lines.
type progressBar struct {
	p    *program
	live bool
	text string
	told string
	at   time.Time
}

func (p *program) progress() *progressBar { return &progressBar{p: p, live: isTerminal(p.err)} }

// count tells how many of all are done.
func (b *progressBar) count(done, all int) {
	if all == 0 {
		b.say("reading the repository")
		return
	}
	b.say(fmt.Sprintf("%d of %s synced and healthy", done, plural(all, "app", "apps")))
}

// note tells something that stays on the screen.
func (b *progressBar) note(format string, args ...any) {
	if b.live {
		b.p.notef("\r\x1b[K")
	}
	b.p.notef(format+"\n", args...)
	b.told = ""
	b.at = time.Time{}
}

// say tells text, unless that is what was told last, or something was a moment ago and each is a line of its own.
func (b *progressBar) say(text string) {
	b.text = text
	now := b.p.now()
	if text == b.told || (!b.live && now.Sub(b.at) < pause) {
		return
	}
	b.tell(now)
}

func (b *progressBar) tell(now time.Time) {
	if b.live {
		b.p.notef("\r\x1b[K%s", b.text)
	} else {
		b.p.notef("%s\n", b.text)
	}
	b.told, b.at = b.text, now
}

// end tells what has not been told, and leaves the line.
func (b *progressBar) end() {
	if b.text != b.told {
		b.tell(b.p.now())
	}
	if b.live && b.text != "" {
		b.p.notef("\n")
	}
}
