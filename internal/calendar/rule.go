package calendar

import (
	"math"
	"slices"
	"time"
)

const (
	daySeconds = 24 * 60 * 60
	// never is after every moment.
	never = math.MaxInt64
)

// rule is one rule. It works in wall time: the seconds between the start of 1970 and what a clock in its zone shows, as
// if no clock were ever changed.
type rule struct {
	text     string // as it was written
	deny     bool
	days     days
	from, to int64 // seconds from the midnight at which a day begins; to is after 24 h if the window ends the next day
	zone     *time.Location
}

// holds reports whether the moment (in Unix seconds) is within the rule.
func (r rule) holds(moment int64) bool {
	offset, _ := r.offset(moment)
	return r.within(moment + offset)
}

// turns returns the first moment after the one given at which the rule begins to hold, or ends to. It is after limit if
// that does not happen before.
func (r rule) turns(moment, limit int64) int64 {
	offset, changes := r.offset(moment)
	held := r.within(moment + offset)
	for moment <= limit {
		at := int64(never)
		if wall := r.edge(moment + offset); wall != never {
			at = wall - offset
		}
		if at == never && changes == never {
			break
		}
		moment = min(at, changes)
		if moment == changes {
			offset, changes = r.offset(moment)
		}
		if r.within(moment+offset) != held {
			return moment
		}
	}
	return never
}

// offset returns what is to be added to a moment for the wall time of the zone, in seconds, and the moment at which
// clocks are changed the next time.
func (r rule) offset(moment int64) (offset, changes int64) {
	t := time.Unix(moment, 0).In(r.zone)
	_, seconds := t.Zone()
	changes = never
	if _, end := t.ZoneBounds(); end.Unix() > moment { // zero if they never are
		changes = end.Unix()
	}
	return int64(seconds), changes
}

// within reports whether a wall time is in a window: one that began on the same day, or on the day before.
func (r rule) within(wall int64) bool {
	day := dayOf(wall)
	return r.covers(day, wall) || r.covers(day-1, wall)
}

// covers reports whether a wall time is in the window that begins on that day.
func (r rule) covers(day, wall int64) bool {
	since := wall - day*daySeconds
	return r.from <= since && since < r.to && r.days.has(day)
}

// edge returns the first wall time after the one given at which a window begins or ends.
func (r rule) edge(wall int64) int64 {
	today := dayOf(wall)
	for _, day := range []int64{today - 1, today} {
		if r.covers(day, wall) {
			return day*daySeconds + r.to
		}
	}
	day, ok := r.days.next(dayOf(wall-r.from) + 1)
	if !ok {
		return never
	}
	return day*daySeconds + r.from
}

// dayOf returns the day of a wall time, counted from the start of 1970.
func dayOf(wall int64) int64 {
	day := wall / daySeconds
	if wall%daySeconds < 0 {
		day--
	}
	return day
}

// days says on which days a window begins: days of the week, or if there are any, dates.
type days struct {
	week  [7]bool // by time.Weekday
	dates []span  // in order, and apart from each other
}

// span is a range of days, counted from the start of 1970, with both ends in.
type span struct{ first, last int64 }

func (d days) has(day int64) bool {
	if len(d.dates) == 0 {
		return d.week[weekday(day)]
	}
	i, _ := slices.BinarySearchFunc(d.dates, day, func(s span, day int64) int {
		if s.last < day {
			return -1
		}
		return 1
	})
	return i < len(d.dates) && d.dates[i].first <= day
}

// next returns the first of the days that is not before day.
func (d days) next(day int64) (int64, bool) {
	for _, s := range d.dates {
		if day <= s.last {
			return max(day, s.first), true
		}
	}
	if len(d.dates) > 0 {
		return 0, false
	}
	for i := range int64(7) {
		if d.has(day + i) {
			return day + i, true
		}
	}
	return 0, false
}

// weekday returns the day of the week; 1970 began on a Thursday.
func weekday(day int64) time.Weekday {
	return time.Weekday(((day+int64(time.Thursday))%7 + 7) % 7)
}

// merge puts spans in order and joins those that touch.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return int(a.first - b.first) })
	joined := spans[:0]
	for _, s := range spans {
		if n := len(joined); n > 0 && s.first <= joined[n-1].last+1 {
			joined[n-1].last = max(joined[n-1].last, s.last)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}
