package calendar

import (
	"archive/zip"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct{ rule, want string }{
		"Empty":          {"", `it is empty: write, for example, "allow Mon-Thu 10:00-17:00 Asia/Tokyo"`},
		"Verb":           {"alow Mon UTC", `it begins with "alow": a window begins with allow or deny, as in "allow Mon-Thu 10:00-17:00 Asia/Tokyo"`},
		"VerbCase":       {"Deny Mon UTC", `it begins with "Deny": a window begins with allow or deny, as in "allow Mon-Thu 10:00-17:00 Asia/Tokyo"`},
		"NoDays":         {"deny", `it names no days: write days and a time zone after deny, as in "allow Mon-Thu 10:00-17:00 Asia/Tokyo"`},
		"LongDay":        {"allow Monday UTC", `"Monday" is no day; did you mean Mon?`},
		"DayCase":        {"allow mon-Thu UTC", `"mon" is no day; did you mean Mon?`},
		"DayOther":       {"allow Mon-Thurs UTC", `"Thurs" is no day; did you mean Thu?`},
		"DaySwapped":     {"allow Mno UTC", `"Mno" is no day; did you mean Mon?`},
		"DayTypo":        {"allow Fridaz UTC", `"Fridaz" is no day; did you mean Fri?`},
		"Weekdays":       {"allow weekdays UTC", `"weekdays" is no day; did you mean Mon-Fri?`},
		"Weekend":        {"allow weekend UTC", `"weekend" is no day; did you mean Sat-Sun?`},
		"Everyday":       {"allow everyday UTC", `"everyday" is no day; did you mean daily?`},
		"DailyCase":      {"allow Daily UTC", `"Daily" is no day; did you mean daily?`},
		"DayNone":        {"allow Blue UTC", `"Blue" is no day: the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun, a range of them is Mon-Thu, and daily is every day`},
		"DayRange":       {"allow Mon- UTC", `"" is no day: the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun, a range of them is Mon-Thu, and daily is every day`},
		"LongDash":       {"allow Mon–Thu UTC", `"Mon–Thu" holds a long dash: write the range with a plain one, as in Mon-Thu`},
		"Space":          {"allow Mon, Wed UTC", `a day is missing in "Mon,": write days with a comma and no space between, as in Mon,Wed,Fri`},
		"Mixed":          {"deny Mon,2026-12-24 UTC", `"Mon,2026-12-24" mixes days of the week with dates: write a rule for each`},
		"Date":           {"deny 2026-02-30 UTC", `"2026-02-30" is no date: write 2026-12-24, or 2026-12-24/2027-01-04 for several days`},
		"DateForm":       {"deny 24.12.2026 UTC", `"24.12.2026" is no date: write 2026-12-24, or 2026-12-24/2027-01-04 for several days`},
		"DateEnd":        {"deny 2026-12-24/ UTC", `"" is no date: write 2026-12-24, or 2026-12-24/2027-01-04 for several days`},
		"DateOrder":      {"deny 2027-01-04/2026-12-24 UTC", `2027-01-04/2026-12-24 ends before it begins: write the earlier date first`},
		"Times":          {"allow Mon 9:00-17:00 UTC", `"9:00-17:00" is no time range: write it with four digits on both sides, as in 09:00-17:00`},
		"TimesDash":      {"allow Mon 09:00–17:00 UTC", `"09:00–17:00" is no time range: write it with four digits on both sides, as in 09:00-17:00`},
		"TimesBegin":     {"allow Mon 24:00-17:00 UTC", `"24:00-17:00" begins at no time of the day: the first is 00:00 and the last 23:59`},
		"TimesMinute":    {"allow Mon 10:60-17:00 UTC", `"10:60-17:00" begins at no time of the day: the first is 00:00 and the last 23:59`},
		"TimesEnd":       {"allow Mon 10:00-24:01 UTC", `"10:00-24:01" ends at no time of the day: the last is 24:00`},
		"TimesSame":      {"allow Mon 10:00-10:00 UTC", `"10:00-10:00" ends when it begins: leave the times out for the whole day`},
		"NoZone":         {"allow Mon-Thu 10:00-17:00", `it names no time zone: end it with one, such as Asia/Tokyo, or with UTC`},
		"NoZoneNoTimes":  {"deny 2026-12-24", `it names no time zone: end it with one, such as Asia/Tokyo, or with UTC`},
		"ZoneCase":       {"allow Mon asia/tokyo", `"asia/tokyo" is no time zone; did you mean Asia/Tokyo?`},
		"ZoneCity":       {"allow Mon Tokyo", `"Tokyo" is no time zone; did you mean Asia/Tokyo?`},
		"ZoneArea":       {"allow Mon Europe/New_York", `"Europe/New_York" is no time zone; did you mean America/New_York?`},
		"ZoneTypo":       {"allow Mon Asia/Tokio", `"Asia/Tokio" is no time zone; did you mean Asia/Tokyo?`},
		"ZoneForgotten":  {"allow Mon Europe/Brlin", `"Europe/Brlin" is no time zone; did you mean Europe/Berlin?`},
		"ZoneAdded":      {"allow Mon Europe/Parris", `"Europe/Parris" is no time zone; did you mean Europe/Paris?`},
		"ZoneShort":      {"allow Mon JST", `"JST" is no time zone; did you mean Asia/Tokyo?`},
		"ZoneNoSummer":   {"allow Mon EST", `"EST" is no time zone; did you mean America/New_York?`},
		"ZoneUTC":        {"allow Mon utc", `"utc" is no time zone; did you mean UTC?`},
		"ZoneMachine":    {"allow Mon Local", `"Local" is no time zone: write an IANA name, which is an area and a city, such as Asia/Tokyo, or UTC`},
		"ZoneFile":       {"allow Mon ../../etc/passwd", `"../../etc/passwd" is no time zone: write an IANA name, which is an area and a city, such as Asia/Tokyo, or UTC`},
		"ZoneLeap":       {"allow Mon right/UTC", `"right/UTC" is no time zone; did you mean Etc/UTC?`},
		"ZoneOffset":     {"allow Mon 10:00-12:00 +09:00", `"+09:00" is no time zone: write an IANA name, which is an area and a city, such as Asia/Tokyo, or UTC`},
		"Rest":           {"allow Mon UTC 10:00-17:00", `nothing is read after the time zone, and "10:00-17:00" is there: the order is allow or deny, days, times, time zone`},
		"TimesAfterZone": {"allow 10:00-17:00 Mon UTC", `"10:00-17:00" is no date: write 2026-12-24, or 2026-12-24/2027-01-04 for several days`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]string{"allow Mon UTC", tc.rule})
			if err == nil {
				t.Fatalf("Parse(%q) has no error", tc.rule)
			}
			text, ok := strings.CutPrefix(err.Error(), `window "`+tc.rule+`": `)
			if !ok {
				t.Errorf("the error does not name the rule: %v", err)
			}
			if diff := cmp.Diff(tc.want, text); diff != "" {
				t.Errorf("Parse(%q): -want, +got:\n%s", tc.rule, diff)
			}
		})
	}
}

func TestParseAll(t *testing.T) {
	_, err := Parse([]string{"allow Mom UTC", "deny daily UTC", strings.Repeat("x", MaxLength+1), "deny 2026-12-24"})
	want := "window \"allow Mom UTC\": \"Mom\" is no day; did you mean Mon?\n" +
		"window 3 is longer than 512 letters: split it into several rules\n" +
		"window \"deny 2026-12-24\": it names no time zone: end it with one, such as Asia/Tokyo, or with UTC"
	if err == nil || err.Error() != want {
		t.Errorf("Parse(...) = %v, want %s", err, want)
	}
	if _, err := Parse(make([]string, MaxRules+1)); err == nil || err.Error() != "101 windows are more than 100: join days (Mon,Wed,Fri) and dates (2026-12-24/2027-01-04)" {
		t.Errorf("Parse(...) of many rules = %v", err)
	}
}

var update = flag.Bool("update", false, "write the list of time zones")

// TestZones compares the list of zones with those that are built into programs by this version of Go.
func TestZones(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	var zones []string
	for _, file := range archive.File {
		if strings.Contains(file.Name, "/") && !strings.HasSuffix(file.Name, "/") {
			zones = append(zones, file.Name)
		}
	}
	slices.Sort(zones)
	want := strings.Join(zones, "\n") + "\n"
	if *update {
		if err := os.WriteFile("zones.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, zoneList); diff != "" {
		t.Errorf("zones.txt is not the list of this version of Go (go test -update writes it): -want, +got:\n%s", diff)
	}
	for _, zone := range zones {
		if _, err := parseZone(zone); err != nil {
			t.Errorf("parseZone(%q): %v", zone, err)
		}
	}
	for short, zone := range abbreviations {
		if _, err := parseZone(zone); err != nil {
			t.Errorf("%s is meant to be %s: %v", short, zone, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"allow Mon-Thu 10:00-17:00 Asia/Tokyo", "deny 2026-12-24/2027-01-04 Asia/Tokyo", "allow Fri-Mon,Wed 22:00-24:00 Europe/London", "deny daily UTC",
		"deny 0000-01-01/9999-12-31 23:59-23:58 Australia/Lord_Howe", "allow weekdays utc", "deny 2026-12-24,2026-12-24 UTC", "", "allow Mon Mon",
	} {
		f.Add(seed, int64(1_772_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		if seconds > 1<<40 || seconds < -1<<40 {
			return
		}
		c, err := Parse([]string{text})
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is of several lines: %v", err)
			}
			return
		}
		now := time.Unix(seconds, 0)
		answer := c.At(now)
		if answer.Until.IsZero() {
			return
		}
		if !answer.Until.After(now) || c.At(answer.Until).Open == answer.Open || c.At(answer.Until.Add(-time.Second)).Open != answer.Open {
			t.Errorf("%q: At(%s) = %+v is no change", text, now, answer)
		}
	})
}
