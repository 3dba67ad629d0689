package calendar

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// modelRule is a rule for a model that only reads clocks: it shares no code with the package.
type modelRule struct {
	text     string
	deny     bool
	days     map[time.Weekday]bool
	dates    map[string]bool
	from, to int // minutes of the day; to before from is the next day
	zone     *time.Location
}

func (r modelRule) on(day time.Time) bool {
	if r.dates != nil {
		return r.dates[day.Format(time.DateOnly)]
	}
	return r.days[day.Weekday()]
}

func (r modelRule) holds(t time.Time) bool {
	local := t.In(r.zone)
	minute := local.Hour()*60 + local.Minute()
	today := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	if r.from < r.to {
		return r.on(today) && r.from <= minute && minute < r.to
	}
	return r.on(today) && minute >= r.from || r.on(today.AddDate(0, 0, -1)) && minute < r.to
}

func modelOpen(rules []modelRule, t time.Time) bool {
	allows, allowed := false, false
	for _, r := range rules {
		holds := r.holds(t)
		if r.deny && holds {
			return false
		}
		allows = allows || !r.deny
		allowed = allowed || !r.deny && holds
	}
	return allowed || !allows
}

// randomRule writes a rule about the days around a moment.
func randomRule(t *testing.T, random *rand.Rand, around time.Time) modelRule {
	zones := []string{"UTC", "Asia/Tokyo", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Cairo", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "America/St_Johns"}
	r := modelRule{deny: random.IntN(2) == 0, to: 24 * 60}
	name := zones[random.IntN(len(zones))]
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	r.zone = zone
	words := []string{"allow"}
	if r.deny {
		words[0] = "deny"
	}
	switch random.IntN(4) {
	case 0:
		first := around.AddDate(0, 0, random.IntN(8)-4)
		last := first.AddDate(0, 0, random.IntN(4))
		r.dates = map[string]bool{}
		for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
			r.dates[day.Format(time.DateOnly)] = true
		}
		words = append(words, first.Format(time.DateOnly)+"/"+last.Format(time.DateOnly))
	case 1:
		first, n := random.IntN(7), random.IntN(7)
		r.days = map[time.Weekday]bool{}
		for i := range n + 1 {
			r.days[time.Weekday((first+i)%7)] = true
		}
		words = append(words, dayNames[first]+"-"+dayNames[(first+n)%7])
	case 2:
		r.days = map[time.Weekday]bool{}
		var list []string
		for range random.IntN(4) + 1 {
			day := random.IntN(7)
			r.days[time.Weekday(day)] = true
			list = append(list, dayNames[day])
		}
		words = append(words, strings.Join(list, ","))
	default:
		r.days = map[time.Weekday]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 6: true}
		words = append(words, "daily")
	}
	if random.IntN(4) > 0 {
		r.from, r.to = random.IntN(48)*30, random.IntN(49)*30+random.IntN(2)*7
		if random.IntN(2) == 0 {
			r.from, r.to = random.IntN(24)*10, random.IntN(24)*10 // the hours in which clocks are changed
		}
		r.to = min(r.to, 24*60)
		if r.from == r.to {
			r.to++
		}
		words = append(words, fmt.Sprintf("%02d:%02d-%02d:%02d", r.from/60, r.from%60, r.to/60, r.to%60))
	}
	r.text = strings.Join(append(words, name), " ")
	return r
}

// TestModel compares random calendars, around days on which clocks are changed, with a model that looks at every minute.
func TestModel(t *testing.T) {
	const days = 6 // that the model looks at
	around := []string{
		"2026-03-08", "2026-11-01", "2026-03-29", "2026-10-25", "2026-04-05", "2026-10-04", "2026-04-24", "2026-10-30", "2011-12-30",
		"2018-11-04", "2018-02-18", "2026-06-15", "2040-03-11", "2026-12-31",
	}
	for seed := range uint64(150) {
		random := rand.New(rand.NewPCG(seed, 0))
		day := at(t, around[random.IntN(len(around))]+"T00:00:00Z")
		var rules []modelRule
		var texts []string
		for range random.IntN(4) + 1 {
			r := randomRule(t, random, day)
			rules, texts = append(rules, r), append(texts, r.text)
		}
		now := day.Add(time.Duration(random.IntN(5*24*3600)-3*24*3600) * time.Second)
		got := mustParse(t, texts...).At(now)
		if want := modelOpen(rules, now); got.Open != want {
			t.Errorf("seed %d: At(%s).Open = %v, want %v, by %q", seed, now, got.Open, want, texts)
			continue
		}
		end := now.Add(days * 24 * time.Hour)
		var want time.Time
		for moment := now.Truncate(time.Minute).Add(time.Minute); moment.Before(end); moment = moment.Add(time.Minute) {
			if modelOpen(rules, moment) != got.Open {
				want = moment
				break
			}
		}
		switch {
		case want.IsZero() && (got.Until.IsZero() || !got.Until.Before(end)):
		case !got.Until.Equal(want):
			t.Errorf("seed %d: At(%s).Until = %s, want %s, by %q", seed, now, got.Until, want, texts)
		}
		if until := got.Until; !until.IsZero() && (modelOpen(rules, until) == got.Open || modelOpen(rules, until.Add(-time.Second)) != got.Open) {
			t.Errorf("seed %d: At(%s).Until = %s is no change, by %q", seed, now, until, texts)
		}
	}
}
