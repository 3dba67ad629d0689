package calendar

import "time"

// Horizon is how far ahead of a moment [Calendar.At] looks for the next change.
const Horizon = 400 * 24 * time.Hour

// Calendar says when something may happen. The zero Calendar is always open. It never changes after [Parse] and may be
// used by several goroutines.
type Calendar struct {
	rules  []rule
	allows bool // one of them allows
}

// Answer is what a Calendar says about a moment.
type Answer struct {
	// Open says that it may happen now.
	Open bool
	// Rule is the rule that decided, as it was written: the first deny that holds; without one, the first allow that
	// holds; outside of every allow, the one that opens next (the first one, if none does within the Horizon). It is
	// empty if there is no allow and no deny holds.
	Rule string
	// Until is the next moment at which Open is another. It is zero if that is not within the Horizon.
	Until time.Time
}

// At returns what the calendar says about t. Until is in the location of t.
func (c Calendar) At(t time.Time) Answer {
	now := t.Unix()
	limit := now + int64(Horizon/time.Second)
	holds, next := make([]bool, len(c.rules)), make([]int64, len(c.rules))
	for i, r := range c.rules {
		holds[i] = r.holds(now)
		next[i] = r.turns(now, limit)
	}
	open, by := c.decide(holds)
	answer := Answer{Open: open}
	for at := earliest(next, limit); at <= limit; at = earliest(next, limit) {
		for i, r := range c.rules {
			if next[i] == at {
				holds[i] = !holds[i]
				next[i] = r.turns(at, limit)
			}
		}
		if changed, then := c.decide(holds); changed != open {
			answer.Until = time.Unix(at, 0).In(t.Location())
			if by < 0 && changed {
				by = then
			}
			break
		}
	}
	switch {
	case by >= 0:
		answer.Rule = c.rules[by].text
	case !open:
		answer.Rule = c.rules[c.firstAllow()].text
	}
	return answer
}

// decide says whether the calendar is open while these rules hold, and which rule says so, -1 for none.
func (c Calendar) decide(holds []bool) (open bool, by int) {
	by = -1
	for i, r := range c.rules {
		switch {
		case holds[i] && r.deny:
			return false, i
		case holds[i] && by < 0:
			by = i
		}
	}
	return by >= 0 || !c.allows, by
}

// firstAllow returns the place of the first rule that allows.
func (c Calendar) firstAllow() int {
	i := 0
	for c.rules[i].deny {
		i++
	}
	return i
}

// earliest returns the least of moments, and one after limit if there is none.
func earliest(moments []int64, limit int64) int64 {
	least := limit + 1
	for _, m := range moments {
		least = min(least, m)
	}
	return least
}
