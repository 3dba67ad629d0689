package calendar

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the image has no zones of its own
)

// zoneList holds the IANA names that are a place (or a fixed offset in Etc), one a line and in order.
//
//go:embed zones.txt
var zoneList string

// abbreviations are what people write for a zone that they are in. The names of IANA that look alike (EST, MST) have no
// summer time, and so are not what they mean.
var abbreviations = map[string]string{
	"JST": "Asia/Tokyo", "KST": "Asia/Seoul", "SGT": "Asia/Singapore", "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney",
	"EST": "America/New_York", "EDT": "America/New_York", "ET": "America/New_York", "CST": "America/Chicago", "CDT": "America/Chicago",
	"MST": "America/Denver", "MDT": "America/Denver", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "PT": "America/Los_Angeles",
	"GMT": "UTC", "Z": "UTC", "BST": "Europe/London", "CET": "Europe/Berlin", "CEST": "Europe/Berlin", "EET": "Europe/Athens", "WET": "Europe/Lisbon",
}

// parseZone returns a time zone by its IANA name.
func parseZone(name string) (*time.Location, error) {
	if name == "UTC" {
		return time.UTC, nil
	}
	zones := strings.Fields(zoneList)
	if _, known := slices.BinarySearch(zones, name); !known {
		if near := nearestZone(name, zones); near != "" {
			return nil, fmt.Errorf("%q is no time zone; did you mean %s?", name, near)
		}
		return nil, fmt.Errorf("%q is no time zone: write an IANA name, which is an area and a city, such as Asia/Tokyo, or UTC", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("load time zone %s: %w", name, err)
	}
	return zone, nil
}

// nearestZone returns the zone that name is most likely meant to be, empty if none is near.
func nearestZone(name string, zones []string) string {
	if meant := abbreviations[strings.ToUpper(name)]; meant != "" {
		return meant
	}
	plain := plainly(name)
	if plain == "utc" {
		return "UTC"
	}
	for _, zone := range zones {
		if other := plainly(zone); other == plain || cityOf(other) == cityOf(plain) {
			return zone
		}
	}
	for _, zone := range zones {
		if oneLetterApart(plain, plainly(zone)) {
			return zone
		}
	}
	return ""
}

func cityOf(zone string) string { return zone[strings.LastIndex(zone, "/")+1:] }

// plainly writes a zone as people do who do not mind case and spaces.
func plainly(zone string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(zone))
}

// oneLetterApart reports whether one letter was forgotten, added or mistaken, or two neighbours were swapped.
func oneLetterApart(a, b string) bool {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	switch {
	case len(a) == len(b) && len(a) > 0:
		return a[1:] == b[1:] || (len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:])
	case len(a) == len(b)+1:
		return a[1:] == b
	case len(b) == len(a)+1:
		return b[1:] == a
	}
	return false
}
