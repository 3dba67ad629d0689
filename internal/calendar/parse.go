package calendar

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxRules is how many rules a calendar may have.
	MaxRules = 100
	// MaxLength is how long one rule may be, in bytes.
	MaxLength = 512
	// example is shown where nothing better can be said.
	example = `"allow Mon-Thu 10:00-17:00 Asia/Tokyo"`
)

// Parse reads a calendar. The error names every rule that is not understood, as it is written, and the way out.
func Parse(rules []string) (Calendar, error) {
	if len(rules) > MaxRules {
		return Calendar{}, fmt.Errorf("%d windows are more than %d: join days (Mon,Wed,Fri) and dates (2026-12-24/2027-01-04)", len(rules), MaxRules)
	}
	var c Calendar
	var problems []error
	for i, text := range rules {
		if len(text) > MaxLength {
			problems = append(problems, fmt.Errorf("window %d is longer than %d letters: split it into several rules", i+1, MaxLength))
			continue
		}
		r, err := parseRule(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("window %q: %w", text, err))
			continue
		}
		c.rules = append(c.rules, r)
		c.allows = c.allows || !r.deny
	}
	if len(problems) > 0 {
		return Calendar{}, errors.Join(problems...)
	}
	return c, nil
}

// parseRule reads the words of a rule, in their order.
func parseRule(text string) (rule, error) {
	r := rule{text: text, to: daySeconds}
	words := strings.Fields(text)
	if len(words) == 0 {
		return rule{}, errors.New("it is empty: write, for example, " + example)
	}
	switch words[0] {
	case "allow":
	case "deny":
		r.deny = true
	default:
		return rule{}, fmt.Errorf("it begins with %q: a window begins with allow or deny, as in %s", words[0], example)
	}
	if len(words) == 1 {
		return rule{}, fmt.Errorf("it names no days: write days and a time zone after %s, as in %s", words[0], example)
	}
	var err error
	if r.days, err = parseDays(words[1]); err != nil {
		return rule{}, err
	}
	rest := words[2:]
	if len(rest) > 0 && '0' <= rest[0][0] && rest[0][0] <= '9' {
		if r.from, r.to, err = parseTimes(rest[0]); err != nil {
			return rule{}, err
		}
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return rule{}, errors.New("it names no time zone: end it with one, such as Asia/Tokyo, or with UTC")
	}
	if r.zone, err = parseZone(rest[0]); err != nil {
		return rule{}, err
	}
	if len(rest) > 1 {
		return rule{}, fmt.Errorf("nothing is read after the time zone, and %q is there: the order is allow or deny, days, times, time zone", strings.Join(rest[1:], " "))
	}
	return r, nil
}

// dayNames are the days of the week, by time.Weekday.
var dayNames = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// parseDays reads the days of a rule.
func parseDays(text string) (days, error) {
	if text == "daily" {
		return days{week: [7]bool{true, true, true, true, true, true, true}}, nil
	}
	var d days
	var named bool
	for item := range strings.SplitSeq(text, ",") {
		switch {
		case item == "":
			return days{}, fmt.Errorf("a day is missing in %q: write days with a comma and no space between, as in Mon,Wed,Fri", text)
		case '0' <= item[0] && item[0] <= '9':
			s, err := parseSpan(item)
			if err != nil {
				return days{}, err
			}
			d.dates = append(d.dates, s)
		default:
			if err := d.name(item); err != nil {
				return days{}, err
			}
			named = true
		}
	}
	if named && len(d.dates) > 0 {
		return days{}, fmt.Errorf("%q mixes days of the week with dates: write a rule for each", text)
	}
	d.dates = merge(d.dates)
	return d, nil
}

// name adds a day of the week, or a range of them, which may go over the end of the week.
func (d *days) name(item string) error {
	first, last, ranged := strings.Cut(item, "-")
	if !ranged {
		last = first
	}
	from, err := parseDay(first)
	if err != nil {
		return err
	}
	to, err := parseDay(last)
	if err != nil {
		return err
	}
	for day := from; ; day = (day + 1) % 7 {
		d.week[day] = true
		if day == to {
			return nil
		}
	}
}

func parseDay(name string) (int, error) {
	if i := slices.Index(dayNames, name); i >= 0 {
		return i, nil
	}
	if strings.ContainsAny(name, "–—") {
		return 0, fmt.Errorf("%q holds a long dash: write the range with a plain one, as in Mon-Thu", name)
	}
	if near := nearestDay(strings.ToLower(name)); near != "" {
		return 0, fmt.Errorf("%q is no day; did you mean %s?", name, near)
	}
	return 0, fmt.Errorf("%q is no day: the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun, a range of them is Mon-Thu, and daily is every day", name)
}

// nearestDay returns what a word is most likely meant to be, empty if nothing is near.
func nearestDay(lower string) string {
	switch strings.TrimSuffix(lower, "s") {
	case "weekday":
		return "Mon-Fri"
	case "weekend":
		return "Sat-Sun"
	case "everyday", "alway", "daily":
		return "daily"
	}
	for day := time.Sunday; day <= time.Saturday; day++ {
		long := strings.ToLower(day.String()) + "s"
		if len(lower) > 1 && strings.HasPrefix(long, lower) || oneLetterApart(lower, long[:3]) || oneLetterApart(lower, long[:len(long)-1]) {
			return dayNames[day]
		}
	}
	return ""
}

// parseSpan reads a date, or two with a slash between.
func parseSpan(item string) (span, error) {
	first, last, ranged := strings.Cut(item, "/")
	if !ranged {
		last = first
	}
	from, err := parseDate(first)
	if err != nil {
		return span{}, err
	}
	to, err := parseDate(last)
	if err != nil {
		return span{}, err
	}
	if to < from {
		return span{}, fmt.Errorf("%s ends before it begins: write the earlier date first", item)
	}
	return span{from, to}, nil
}

func parseDate(text string) (int64, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("%q is no date: write 2026-12-24, or 2026-12-24/2027-01-04 for several days", text)
	}
	return t.Unix() / daySeconds, nil
}

var timeRange = regexp.MustCompile(`^(\d\d):(\d\d)-(\d\d):(\d\d)$`)

// parseTimes reads a time range into seconds from the midnight at which its day begins. An end that is not after the
// beginning is on the next day.
func parseTimes(text string) (from, to int64, err error) {
	m := timeRange.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, fmt.Errorf("%q is no time range: write it with four digits on both sides, as in 09:00-17:00", text)
	}
	from, ok := minutes(m[1], m[2])
	if !ok || from == 24*60 {
		return 0, 0, fmt.Errorf("%q begins at no time of the day: the first is 00:00 and the last 23:59", text)
	}
	to, ok = minutes(m[3], m[4])
	switch {
	case !ok:
		return 0, 0, fmt.Errorf("%q ends at no time of the day: the last is 24:00", text)
	case from == to:
		return 0, 0, fmt.Errorf("%q ends when it begins: leave the times out for the whole day", text)
	case to < from:
		to += 24 * 60
	}
	return from * 60, to * 60, nil
}

// minutes returns the minutes from midnight, up to and with 24:00.
func minutes(hours, mins string) (int64, bool) {
	h, errHours := strconv.ParseInt(hours, 10, 64)
	m, errMins := strconv.ParseInt(mins, 10, 64)
	sum := h*60 + m
	return sum, errHours == nil && errMins == nil && m < 60 && sum <= 24*60
}
