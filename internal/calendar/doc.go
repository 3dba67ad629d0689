// Package calendar knows when something may happen: the windows in which an environment may be changed, and the
// freezes in which it may not.
//
// A calendar is a list of rules, each of one line:
//
//	allow Mon-Thu 10:00-17:00 Asia/Tokyo
//	allow Mon,Wed,Fri 22:00-02:00 Europe/London
//	deny 2026-12-24/2027-01-04 Asia/Tokyo
//	deny daily 12:00-13:00 UTC
//
// The words are: allow or deny; days, which are names of days and ranges of them with commas between (Mon-Thu, Sat-Sun,
// Fri-Mon, Mon,Wed-Fri), or daily, or dates and ranges of them with both ends in (2026-12-24, 2026-12-24/2027-01-04); a
// time range, without which the whole day is meant (24:00 is the end of the day); and an IANA time zone.
//
// A deny wins over every allow. With at least one allow it is open only while an allow holds; with none, it is open
// except while a deny holds. A window belongs to the day on which it begins, so that Fri 22:00-02:00 ends on Saturday,
// and a range of dates with a time range means that range on each of the days.
//
// What counts is what a clock on the wall of the zone shows. When clocks go forward, the times that are skipped never
// come: a window that begins among them begins at the jump, and one that lies wholly among them does not happen that
// day. When clocks go back, a time that comes twice is within the window both times.
//
// The package is pure: the time is an argument, and the zones are built into the program (newer ones of the system are
// preferred). It refuses a rule that it does not understand as a whole, a rule without a time zone, and abbreviations
// such as EST, which do not say when clocks change.
package calendar
