package calendar

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mustParse reads a calendar that is right.
func mustParse(t testing.TB, rules ...string) Calendar {
	t.Helper()
	c, err := Parse(rules)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// at reads a moment, as RFC 3339 has it.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func TestAt(t *testing.T) {
	const (
		work   = "allow Mon-Thu 10:00-17:00 Asia/Tokyo"
		freeze = "deny 2026-12-24/2027-01-04 Asia/Tokyo"
		night  = "allow Fri 22:00-02:00 UTC"
	)
	cases := map[string]struct {
		reason string
		rules  []string
		now    string
		open   bool
		rule   string
		until  string
	}{
		"Nothing":      {"Without a rule it is always open.", nil, "2026-03-02T12:00:00Z", true, "", ""},
		"Within":       {"Monday at 10:00 in Tokyo.", []string{work}, "2026-03-02T01:00:00Z", true, work, "2026-03-02T08:00:00Z"},
		"Before":       {"A second before.", []string{work}, "2026-03-02T00:59:59Z", false, work, "2026-03-02T01:00:00Z"},
		"Fraction":     {"Less than a second before.", []string{work}, "2026-03-02T00:59:59.9Z", false, work, "2026-03-02T01:00:00Z"},
		"End":          {"The end is not within.", []string{work}, "2026-03-02T08:00:00Z", false, work, "2026-03-03T01:00:00Z"},
		"Weekend":      {"From Thursday to Monday.", []string{work}, "2026-03-05T08:00:00Z", false, work, "2026-03-09T01:00:00Z"},
		"Location":     {"The moment may be told in any zone.", []string{work}, "2026-03-02T10:30:00+09:00", true, work, "2026-03-02T17:00:00+09:00"},
		"DenyWins":     {"A freeze over a window, whatever their order.", []string{work, freeze}, "2026-12-24T02:00:00Z", false, freeze, "2027-01-05T01:00:00Z"},
		"IntoFreeze":   {"A freeze ends a window.", []string{"allow daily UTC", freeze}, "2026-12-20T00:00:00Z", true, "allow daily UTC", "2026-12-23T15:00:00Z"},
		"OnlyDeny":     {"Open except in a freeze.", []string{freeze}, "2026-12-01T00:00:00Z", true, "", "2026-12-23T15:00:00Z"},
		"InFreeze":     {"Both ends of a range of dates are in it.", []string{freeze}, "2027-01-04T14:59:59Z", false, freeze, "2027-01-04T15:00:00Z"},
		"FreezeOver":   {"A freeze of the past.", []string{freeze}, "2027-02-01T00:00:00Z", true, "", ""},
		"FarFreeze":    {"A freeze after the horizon.", []string{freeze}, "2025-06-01T00:00:00Z", true, "", ""},
		"Always":       {"A window that never ends.", []string{"allow daily Europe/London"}, "2026-03-02T12:00:00Z", true, "allow daily Europe/London", ""},
		"Never":        {"A freeze that never ends.", []string{"deny daily UTC"}, "2026-03-02T12:00:00Z", false, "deny daily UTC", ""},
		"Over":         {"A window that never comes again.", []string{freeze, "allow 2026-01-01 UTC"}, "2026-03-02T12:00:00Z", false, "allow 2026-01-01 UTC", ""},
		"NextOpens":    {"Outside of every allow, the one that opens next.", []string{work, "allow Sat 10:00-11:00 UTC"}, "2026-03-06T12:00:00Z", false, "allow Sat 10:00-11:00 UTC", "2026-03-07T10:00:00Z"},
		"FirstAllow":   {"Within two, the first.", []string{"allow Mon UTC", "allow daily UTC"}, "2026-03-02T12:00:00Z", true, "allow Mon UTC", ""},
		"FirstDeny":    {"In two freezes, the first.", []string{"deny Mon UTC", "deny Mon-Tue UTC"}, "2026-03-02T12:00:00Z", false, "deny Mon UTC", "2026-03-04T00:00:00Z"},
		"Midnight":     {"A window across midnight belongs to Friday.", []string{night}, "2026-03-07T01:59:00Z", true, night, "2026-03-07T02:00:00Z"},
		"NotThursday":  {"And so Friday at 01:00 is not in it.", []string{night}, "2026-03-06T01:00:00Z", false, night, "2026-03-06T22:00:00Z"},
		"EndOfDay":     {"24:00 is the end of the day.", []string{"allow Fri 22:00-24:00 UTC"}, "2026-03-06T23:59:59Z", true, "allow Fri 22:00-24:00 UTC", "2026-03-07T00:00:00Z"},
		"ZeroEnd":      {"So is 00:00.", []string{"allow Fri 22:00-00:00 UTC"}, "2026-03-06T22:00:00Z", true, "allow Fri 22:00-00:00 UTC", "2026-03-07T00:00:00Z"},
		"TouchingDays": {"24:00 and the 00:00 of the next day touch.", []string{"allow Fri-Mon 00:00-24:00 UTC"}, "2026-03-06T12:00:00Z", true, "allow Fri-Mon 00:00-24:00 UTC", "2026-03-10T00:00:00Z"},
		"Touching":     {"Two windows that touch are one.", []string{"allow Mon 10:00-12:00 UTC", "allow Mon 12:00-13:00 UTC"}, "2026-03-02T11:00:00Z", true, "allow Mon 10:00-12:00 UTC", "2026-03-02T13:00:00Z"},
		"WrapDays":     {"Days go over the end of the week.", []string{"deny Fri-Mon UTC"}, "2026-03-05T00:00:00Z", true, "", "2026-03-06T00:00:00Z"},
		"WrapDaysIn":   {"Sunday is among Friday to Monday.", []string{"deny Fri-Mon UTC"}, "2026-03-08T12:00:00Z", false, "deny Fri-Mon UTC", "2026-03-10T00:00:00Z"},
		"Mixed":        {"Days and ranges of them.", []string{"deny Mon,Wed-Fri UTC"}, "2026-03-04T12:00:00Z", false, "deny Mon,Wed-Fri UTC", "2026-03-07T00:00:00Z"},
		"Dates":        {"Dates with times mean the times on each day.", []string{"deny 2026-03-02/2026-03-03,2026-03-09 22:00-02:00 UTC"}, "2026-03-04T01:00:00Z", false, "deny 2026-03-02/2026-03-03,2026-03-09 22:00-02:00 UTC", "2026-03-04T02:00:00Z"},
		"DatesBetween": {"And between them it is open.", []string{"deny 2026-03-09,2026-03-02/2026-03-03 22:00-02:00 UTC"}, "2026-03-03T12:00:00Z", true, "", "2026-03-03T22:00:00Z"},
		"DatesApart":   {"Dates in any order.", []string{"deny 2026-03-09,2026-03-02/2026-03-03 UTC"}, "2026-03-05T12:00:00Z", true, "", "2026-03-09T00:00:00Z"},
		"DatesJoined":  {"Dates that touch are one.", []string{"deny 2026-03-04,2026-03-02/2026-03-03 UTC"}, "2026-03-02T12:00:00Z", false, "deny 2026-03-04,2026-03-02/2026-03-03 UTC", "2026-03-05T00:00:00Z"},
		"DatesWithin":  {"Dates within others.", []string{"deny 2026-03-01/2026-03-10,2026-03-02 UTC"}, "2026-03-05T12:00:00Z", false, "deny 2026-03-01/2026-03-10,2026-03-02 UTC", "2026-03-11T00:00:00Z"},
		"Zones":        {"Rules of different zones.", []string{"allow Mon 09:00-17:00 Asia/Tokyo", "deny Mon 00:00-01:00 Europe/London"}, "2026-03-02T00:30:00Z", false, "deny Mon 00:00-01:00 Europe/London", "2026-03-02T01:00:00Z"},
		"LongAgo":      {"Before 1970.", []string{"deny Mon UTC"}, "1969-12-29T12:00:00Z", false, "deny Mon UTC", "1969-12-30T00:00:00Z"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			now := at(t, tc.now)
			want := Answer{Open: tc.open, Rule: tc.rule}
			if tc.until != "" {
				want.Until = at(t, tc.until)
			}
			got := mustParse(t, tc.rules...).At(now)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\nAt(%s): -want, +got:\n%s", tc.reason, tc.now, diff)
			}
			if !got.Until.IsZero() && got.Until.Location() != now.Location() {
				t.Errorf("%s\nAt(%s).Until is in %s, want %s", tc.reason, tc.now, got.Until.Location(), now.Location())
			}
		})
	}
}

// TestClocksChange follows a calendar through a change of clocks: every moment at which it opens or closes.
func TestClocksChange(t *testing.T) {
	cases := map[string]struct {
		reason      string
		rule, start string
		want        []string // opens, closes, opens …
	}{
		"Forward":         {"A window around the change is an hour shorter.", "allow Sun 01:00-05:00 America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-08T06:00:00Z", "2026-03-08T09:00:00Z", "2026-03-15T05:00:00Z"}},
		"ForwardBegin":    {"02:30 does not exist: the window begins at the jump, which is 03:00.", "allow Sun 02:30-05:00 America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-08T07:00:00Z", "2026-03-08T09:00:00Z", "2026-03-15T06:30:00Z"}},
		"ForwardEnd":      {"And one that ends at 02:30 ends at the jump.", "allow Sun 01:00-02:30 America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z", "2026-03-15T05:00:00Z"}},
		"ForwardWithin":   {"A window of which nothing exists does not happen.", "allow Sun 02:15-02:45 America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-15T06:15:00Z"}},
		"ForwardMidnight": {"A window over midnight keeps its times on the wall.", "allow Sat 22:00-04:00 America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-08T03:00:00Z", "2026-03-08T08:00:00Z", "2026-03-15T02:00:00Z"}},
		"Back":            {"A window around the change is an hour longer.", "allow Sun 00:30-03:00 America/New_York", "2026-10-31T12:00:00Z", []string{"2026-11-01T04:30:00Z", "2026-11-01T08:00:00Z"}},
		"BackTwice":       {"01:30-03:00 is closed while the clock shows 01:00 the second time.", "allow Sun 01:30-03:00 America/New_York", "2026-10-31T12:00:00Z", []string{"2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z", "2026-11-01T08:00:00Z"}},
		"BackWithin":      {"A window that comes twice is open twice.", "allow Sun 01:15-01:45 America/New_York", "2026-10-31T12:00:00Z", []string{"2026-11-01T05:15:00Z", "2026-11-01T05:45:00Z", "2026-11-01T06:15:00Z", "2026-11-01T06:45:00Z"}},
		"BackWhole":       {"A day of 25 hours.", "allow Sun America/New_York", "2026-10-31T12:00:00Z", []string{"2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"}},
		"London":          {"The same window before and after the change of March.", "allow daily 09:00-10:00 Europe/London", "2026-03-28T12:00:00Z", []string{"2026-03-29T08:00:00Z", "2026-03-29T09:00:00Z"}},
		"LondonBack":      {"And of October.", "allow daily 09:00-10:00 Europe/London", "2026-10-24T12:00:00Z", []string{"2026-10-25T09:00:00Z", "2026-10-25T10:00:00Z"}},
		"LordHowe":        {"Clocks go forward by half an hour, from 02:00 to 02:30.", "allow Sun 02:15-03:00 Australia/Lord_Howe", "2026-10-03T00:00:00Z", []string{"2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z", "2026-10-10T15:15:00Z"}},
		"LordHoweBack":    {"And back from 02:00 to 01:30.", "allow Sun 01:45-02:15 Australia/Lord_Howe", "2026-04-04T00:00:00Z", []string{"2026-04-04T14:45:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z", "2026-04-04T15:45:00Z"}},
		"NoMidnight":      {"In Cairo the midnight of a Friday does not exist.", "allow Fri 00:00-02:00 Africa/Cairo", "2026-04-23T12:00:00Z", []string{"2026-04-23T22:00:00Z", "2026-04-23T23:00:00Z"}},
		"NoDay":           {"Samoa left a Friday out.", "allow Thu-Fri Pacific/Apia", "2011-12-28T00:00:00Z", []string{"2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2012-01-04T10:00:00Z"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, now := mustParse(t, tc.rule), at(t, tc.start)
			var got []string
			for i := range tc.want {
				answer := c.At(now)
				if answer.Open != (i%2 == 1) {
					t.Errorf("%s\nAt(%s).Open = %v", tc.reason, now, answer.Open)
				}
				now = answer.Until
				got = append(got, now.Format(time.RFC3339))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nthe moments of change: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestFarAway reads moments that no clock shows: no rule may run away or panic.
func TestFarAway(t *testing.T) {
	c := mustParse(t, "allow Mon-Thu 10:00-17:00 America/New_York", "deny 2026-12-24/2027-01-04 Asia/Tokyo")
	for _, moment := range []time.Time{{}, time.Unix(0, 0), time.Unix(1<<40, 0), time.Unix(-1<<40, 0)} {
		if answer := c.At(moment); answer.Until.IsZero() || !answer.Until.After(moment) {
			t.Errorf("At(%s) = %+v", moment, answer)
		}
	}
}

func BenchmarkAt(b *testing.B) {
	cases := map[string][]string{
		"Week":  {"allow Mon-Thu 10:00-17:00 Asia/Tokyo", "deny 2026-12-24/2027-01-04 Asia/Tokyo"},
		"Never": {"allow daily Europe/London", "deny 2020-01-01 Europe/London"},
		"Worst": {"allow daily Europe/London", "deny daily 00:00-12:00 Europe/London", "deny daily 12:00-24:00 Europe/London"},
	}
	now := at(b, "2026-03-02T12:00:00Z")
	for name, rules := range cases {
		c := mustParse(b, rules...)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.At(now)
			}
		})
	}
}
