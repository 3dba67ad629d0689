package image

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at is a build time, in hours.
func at(hours int) time.Time { return time.Date(2026, 1, 1, hours, 0, 0, 0, time.UTC) }

func TestPick(t *testing.T) {
	semverOf := func(r string) Track { return Track{Strategy: Semver, Range: r} }
	newest := Track{Strategy: Newest}
	c := func(tag, digest string, hours ...int) Candidate {
		x := Candidate{Tag: tag, Digest: digest}
		if len(hours) > 0 {
			x.Created = at(hours[0])
		}
		return x
	}
	type candidates = []Candidate
	cases := map[string]struct {
		reason     string
		track      Track
		current    Candidate
		candidates candidates
		quarantine string
		want       Candidate
		why        string
		none       bool
	}{
		"Highest": {
			reason: "versions are compared as numbers",
			track:  semverOf(">=1.0.0"), candidates: candidates{c("1.9.0", digestA), c("1.10.0", digestB), c("latest", digestC)},
			want: c("1.10.0", digestB), why: "1.10.0 is the highest version in >=1.0.0, of 2 tags that fit",
		},
		"Runs": {
			track: semverOf("1.x"), current: c("1.2.0", digestA), candidates: candidates{c("1.2.0", digestA), c("1.1.0", "")},
			want: c("1.2.0", digestA), why: "1.2.0 runs, and is the highest version in 1.x",
		},
		"TagMoved": {
			reason: "a tag that was pushed again is another image",
			track:  semverOf("1.x"), current: c("1.2.0", digestA), candidates: candidates{c("1.2.0", digestB)},
			want: c("1.2.0", digestB), why: "1.2.0 is the highest version in 1.x, and leads to another image now: sha256:bbbbbbbbbbbb",
		},
		"NeverBack": {
			reason: "the tag of what runs was deleted: that is no reason to go back",
			track:  semverOf("1.x"), current: c("1.3.0", digestA), candidates: candidates{c("1.2.0", digestB)},
			want: c("1.3.0", digestA), why: "1.3.0 stays: of what the registry has, 1.2.0 is the highest version in 1.x, which would be a step back",
		},
		"BackIntoRange": {
			reason: "what runs is out of the range",
			track:  semverOf("<2.0.0"), current: c("2.0.0", digestA), candidates: candidates{c("2.0.0", digestA), c("1.2.0", digestB)},
			want: c("1.2.0", digestB), why: "1.2.0 is the highest version in <2.0.0, of 1 tag that fits",
		},
		"NotBackFromQuarantine": {
			reason: "what runs has failed: going back is for people",
			track:  semverOf("1.x"), current: c("1.3.0", digestA), candidates: candidates{c("1.3.0", digestA), c("1.2.0", digestB)}, quarantine: digestA,
			want: c("1.3.0", digestA), why: "1.3.0 stays: of what the registry has, 1.2.0 is the highest version in 1.x, which would be a step back; 1.3.0 passed over, in quarantine",
		},
		"OnFromQuarantine": {
			reason: "what runs has failed, and something higher is there",
			track:  semverOf("1.x"), current: c("1.3.0", digestA), candidates: candidates{c("1.3.0", digestA), c("1.4.0", digestB)}, quarantine: digestA,
			want: c("1.4.0", digestB), why: "1.4.0 is the highest version in 1.x, of 2 tags that fit",
		},
		"MendedUnderItsTag": {
			reason: "what runs has failed, and its tag was pushed again",
			track:  semverOf("1.x"), current: c("1.3.0", digestA), candidates: candidates{c("1.3.0", digestB)}, quarantine: digestA,
			want: c("1.3.0", digestB), why: "1.3.0 is the highest version in 1.x, and leads to another image now: sha256:bbbbbbbbbbbb",
		},
		"QuarantineUnderAnotherTag": {
			reason: "the digest decides, not the tag",
			track:  semverOf("1.x"), current: c("1.1.0", digestA), candidates: candidates{c("1.1.0", digestA), c("1.2.0", digestB), c("1.3.0", digestB)}, quarantine: digestB,
			want: c("1.1.0", digestA), why: "1.1.0 runs, and is the highest version in 1.x; 1.3.0 and 1 more passed over, in quarantine",
		},
		"MovedIntoQuarantine": {
			reason: "the tag of what runs leads to a failed image now: what runs stays",
			track:  semverOf("1.x"), current: c("1.2.0", digestA), candidates: candidates{c("1.2.0", digestB), c("1.1.0", digestC)}, quarantine: digestB,
			want: c("1.2.0", digestA), why: "1.2.0 stays: of what the registry has, 1.1.0 is the highest version in 1.x, which would be a step back; 1.2.0 passed over, in quarantine",
		},
		"AllInQuarantine": {
			track: semverOf("1.x"), candidates: candidates{c("1.2.0", digestA), c("1.1.0", digestA)}, quarantine: digestA,
			none: true, why: "each of the 2 tags that fit is in quarantine",
		},
		"NotLookedUp": {
			reason: "whether it is in quarantine cannot be known without its digest",
			track:  semverOf("1.x"), candidates: candidates{c("1.2.0", ""), c("1.1.0", digestA)},
			none: true, why: "the registry has not been asked yet which image 1.2.0 is",
		},
		"SameVersion": {
			reason: "two names of one version: what runs is not replaced by its twin",
			track:  semverOf("1.x"), current: c("1.2.0", digestA), candidates: candidates{c("v1.2.0", digestB), c("1.2.0", digestA)},
			want: c("1.2.0", digestA), why: "1.2.0 runs, and is the highest version in 1.x",
		},
		"SameVersionAtFirst": {
			reason: "the name decides",
			track:  semverOf("1.x"), candidates: candidates{c("1.2.0", digestA), c("v1.2.0", digestB)},
			want: c("v1.2.0", digestB), why: "v1.2.0 is the highest version in 1.x, of 2 tags that fit",
		},
		"KeyOfTag": {
			track: Track{Strategy: Semver, Range: "1.x", Allow: []string{`^web-(?P<key>.*)$`}}, candidates: candidates{c("web-1.9.0", digestA), c("web-1.10.0", digestB), c("job-1.11.0", digestC)},
			want: c("web-1.10.0", digestB), why: "web-1.10.0 is the highest version in 1.x, of 2 tags that fit",
		},
		"NoVersion": {
			track: semverOf(">=2.0.0"), candidates: candidates{c("1.0.0", ""), c("latest", "")},
			none: true, why: "none of the 2 tags of the repository is a version in >=2.0.0 that allow and ignore let through",
		},
		"NoTags": {track: semverOf("1.x"), none: true, why: "the repository has no tags"},

		"Newest": {
			track: newest, candidates: candidates{c("b", digestA, 1), c("a", digestB, 3), c("c", digestC, 2)},
			want: c("a", digestB, 3), why: "a is the newest build, of 3 tags that fit, built at 2026-01-01T03:00:00Z",
		},
		"NewestTie": {
			track: newest, candidates: candidates{c("b", digestA, 1), c("c", digestB, 1), c("a", digestC, 1)},
			want: c("c", digestB, 1), why: "c is the newest build, of 3 tags that fit, built at 2026-01-01T01:00:00Z",
		},
		"NewestTieWithWhatRuns": {
			track: newest, current: c("b", digestA, 1), candidates: candidates{c("b", digestA, 1), c("c", digestB, 1)},
			want: c("b", digestA, 1), why: "b runs, and is the newest build, built at 2026-01-01T01:00:00Z",
		},
		"NewestNeverBack": {
			track: newest, current: c("c", digestC, 5), candidates: candidates{c("a", digestA, 1), c("b", digestB, 2)},
			want: c("c", digestC, 5), why: "c stays: of what the registry has, b is the newest build, which would be a step back",
		},
		"NewestMovedToOlder": {
			reason: "the tag of what runs leads to an older build now",
			track:  newest, current: c("c", digestC, 5), candidates: candidates{c("a", digestA, 1), c("c", digestB, 2)},
			want: c("c", digestC, 5), why: "c leads to an older build now, built at 2026-01-01T02:00:00Z, which would be a step back: sha256:cccccccccccc stays",
		},
		"NewestMovedToNewer": {
			track: newest, current: c("c", digestC, 1), candidates: candidates{c("c", digestB, 2)},
			want: c("c", digestB, 2), why: "c is the newest build, and leads to another image now: sha256:bbbbbbbbbbbb, built at 2026-01-01T02:00:00Z",
		},
		"NewestTimeOfWhatRunsFromItsImage": {
			reason: "another tag of the same image tells when it was built",
			track:  newest, current: c("gone", digestC), candidates: candidates{c("a", digestA, 1), c("z", digestC, 0)},
			want: c("a", digestA, 1), why: "a is the newest build, of 2 tags that fit, built at 2026-01-01T01:00:00Z",
		},
		"NewestTimeUnknown": {
			reason: "without its time, nothing is known to be newer",
			track:  newest, current: c("gone", digestC), candidates: candidates{c("a", digestA, 1)},
			none: true, why: "it is not known when gone, which runs, was built, so nothing can be called newer: set an image that the registry still has by hand, once",
		},
		"NewestFromAnother": {
			reason: "what runs is not followed: no comparison",
			track:  Track{Strategy: Newest, Allow: []string{"^main-"}}, current: c("by-hand", digestC), candidates: candidates{c("main-1", digestA, 1), c("by-hand", digestC, 9)},
			want: c("main-1", digestA, 1), why: "main-1 is the newest build, of 1 tag that fits, built at 2026-01-01T01:00:00Z",
		},
		"NewestByDigest": {
			reason: "what runs is named by its digest alone, and the registry knows its tag",
			track:  newest, current: c("", digestB), candidates: candidates{c("a", digestA, 1), c("b", digestB, 2)},
			want: c("b", digestB, 2), why: "b is the newest build, of 2 tags that fit, built at 2026-01-01T02:00:00Z",
		},
		"NewestIncomplete": {
			reason: "one that nobody has looked at may be newer",
			track:  newest, candidates: candidates{c("a", digestA, 1), c("b", "")},
			none: true, why: "1 of 2 tags have been looked at so far, and the newest of them could be any",
		},
		"NewestWithoutTime": {
			reason: "an image that does not tell is not the newest",
			track:  newest, candidates: candidates{c("a", digestA), c("b", digestB, 1)},
			want: c("b", digestB, 1), why: "b is the newest build, of 2 tags that fit, built at 2026-01-01T01:00:00Z",
		},
		"NewestAllWithoutTime": {
			track: newest, candidates: candidates{c("a", digestA), c("b", digestB)},
			none: true, why: "none of 2 tags that fit tells when it was built: build with a time, set the label org.opencontainers.image.created, or follow the repository by semver or alphabetical",
		},
		"NewestInQuarantine": {
			track: newest, current: c("a", digestA, 1), candidates: candidates{c("a", digestA, 1), c("b", digestB, 2)}, quarantine: digestB,
			want: c("a", digestA, 1), why: "a runs, and is the newest build, built at 2026-01-01T01:00:00Z; b passed over, in quarantine",
		},

		"Digest": {
			track: Track{Strategy: Digest, Tag: "live"}, current: c("live", digestA), candidates: candidates{c("live", digestB), c("zzz", digestC)},
			want: c("live", digestB), why: "live leads to sha256:bbbbbbbbbbbb",
		},
		"DigestSame": {
			track: Track{Strategy: Digest, Tag: "live"}, current: c("live", digestA), candidates: candidates{c("live", digestA)},
			want: c("live", digestA), why: "live still leads to sha256:aaaaaaaaaaaa, which runs",
		},
		"DigestBack": {
			reason: "one tag is followed wherever it goes",
			track:  Track{Strategy: Digest, Tag: "live"}, current: c("live", digestA, 5), candidates: candidates{c("live", digestB, 1)},
			want: c("live", digestB, 1), why: "live leads to sha256:bbbbbbbbbbbb",
		},
		"DigestInQuarantine": {
			track: Track{Strategy: Digest, Tag: "live"}, current: c("live", digestA), candidates: candidates{c("live", digestB)}, quarantine: digestB,
			none: true, why: "live leads to sha256:bbbbbbbbbbbb, which is in quarantine: the next image that is pushed to it is taken",
		},
		"DigestWithoutTag": {
			track: Track{Strategy: Digest, Tag: "live"}, candidates: candidates{c("dead", digestA)},
			none: true, why: "the repository has no tag live",
		},

		"Alphabetical": {
			track: Track{Strategy: Alphabetical}, candidates: candidates{c("20260101", digestA), c("20260301", digestB), c("20260201", digestC)},
			want: c("20260301", digestB), why: "20260301 is the last by name, of 3 tags that fit",
		},
		"AlphabeticalDescending": {
			track: Track{Strategy: Alphabetical, Order: Descending}, current: c("b", digestB), candidates: candidates{c("a", digestA), c("b", digestB)},
			want: c("a", digestA), why: "a is the first by name, of 2 tags that fit",
		},
		"AlphabeticalNeverBack": {
			track: Track{Strategy: Alphabetical}, current: c("c", digestC), candidates: candidates{c("b", digestB)},
			want: c("c", digestC), why: "c stays: of what the registry has, b is the last by name, which would be a step back",
		},
		"AlphabeticalByKey": {
			track: Track{Strategy: Alphabetical, Allow: []string{"^[a-z]+-(?P<key>[0-9]+)$"}}, candidates: candidates{c("zebra-1", digestA), c("ant-2", digestB)},
			want: c("ant-2", digestB), why: "ant-2 is the last by name, of 2 tags that fit",
		},
		"AlphabeticalNone": {
			track: Track{Strategy: Alphabetical, Allow: []string{"^v"}}, candidates: candidates{c("b", digestB)},
			none: true, why: "none of the 1 tag of the repository is let through by allow and ignore",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := mustCompile(t, tc.track)
			got, why, ok := Pick(p, tc.current, tc.candidates, func(d string) bool { return d == tc.quarantine })
			if ok == tc.none {
				t.Errorf("ok is %t: %s", ok, tc.reason)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n%s", tc.reason, diff)
			}
			if why != tc.why {
				t.Errorf("why\n got %s\nwant %s", why, tc.why)
			}
		})
	}
}

func TestPickRefusesTooMany(t *testing.T) {
	var all []Candidate
	var tags []string
	for i := range maxNewest + 1 {
		tags = append(tags, fmt.Sprint("t", i))
		all = append(all, Candidate{tags[i], digestA, at(1)})
	}
	p := mustCompile(t, Track{Strategy: Newest})
	_, why, ok := Pick(p, Candidate{}, all, nil)
	if ok || !strings.HasPrefix(why, "2001 tags fit, and newest compares 2000 at most") {
		t.Errorf("got %q, %t", why, ok)
	}
	if needs := Needs(p, tags, nil, nil); needs != nil {
		t.Errorf("it asks for %d tags all the same", len(needs))
	}
	if _, why, ok := Pick(p, Candidate{}, all[1:], nil); !ok {
		t.Errorf("2,000 are refused: %s", why)
	}
	if _, why, _ := Pick(Policy{}, Candidate{}, all, nil); why != "no policy says which image to follow" {
		t.Errorf("the zero Policy says %q", why)
	}
}

// TestNeedsSuffice: once everything that Needs asks for is known, Pick chooses, and the choice is the one that it would
// make if everything were known. And Needs asks for no more than it must.
func TestNeedsSuffice(t *testing.T) {
	var all []Candidate
	registry := map[string]Candidate{}
	var tags []string
	for i := range 250 {
		d := fmt.Sprintf("sha256:%064x", i/2)
		x := Candidate{Tag: fmt.Sprintf("1.%d.0", (i*7)%250), Digest: d, Created: at((i * 13) % 250)}
		all, tags, registry[x.Tag] = append(all, x), append(tags, x.Tag), x
	}
	bad := map[string]bool{registry["1.249.0"].Digest: true, registry["1.248.0"].Digest: true}
	quarantined := func(d string) bool { return bad[d] }
	cases := map[string]struct {
		track   Track
		lookups int
	}{
		"Semver":       {Track{Strategy: Semver, Range: "1.x"}, 3},
		"Alphabetical": {Track{Strategy: Alphabetical}, 1},
		"Digest":       {Track{Strategy: Digest, Tag: "1.6.0"}, 1},
		"Newest":       {Track{Strategy: Newest, Ignore: []string{"^1[.]1"}}, 139},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := mustCompile(t, tc.track)
			known := map[string]Candidate{}
			lookups := 0
			for {
				needs := Needs(p, tags, known, quarantined)
				if len(needs) == 0 {
					break
				}
				if len(needs) > maxNeeds {
					t.Fatalf("asks for %d at once", len(needs))
				}
				for _, tag := range needs {
					if _, again := known[tag]; again || !p.Fits(tag) {
						t.Fatalf("asks for %s", tag)
					}
					known[tag] = registry[tag]
					lookups++
				}
			}
			if lookups != tc.lookups {
				t.Errorf("%d look-ups, want %d", lookups, tc.lookups)
			}
			partly := make([]Candidate, len(tags))
			for i, tag := range tags {
				partly[i] = Candidate{Tag: tag, Digest: known[tag].Digest, Created: known[tag].Created}
			}
			want, _, _ := Pick(p, Candidate{}, all, quarantined)
			got, why, ok := Pick(p, Candidate{}, partly, quarantined)
			if !ok {
				t.Fatalf("no choice: %s", why)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	got := Compare(
		map[string]string{"same": digestA, "moved": digestA, "gone": digestA, "unseen": "", "unseen now": digestA},
		map[string]string{"same": digestA, "moved": digestB, "new2": digestA, "new": "", "unseen": digestA, "unseen now": ""},
	)
	if diff := cmp.Diff(Changes{New: []string{"new", "new2"}, Moved: []string{"moved"}, Gone: []string{"gone"}}, got); diff != "" {
		t.Error(diff)
	}
	if !got.Any() || Compare(map[string]string{"a": digestD}, map[string]string{"a": digestD}).Any() {
		t.Error("Any is wrong")
	}
}
