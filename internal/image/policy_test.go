package image

import (
	"strings"
	"testing"
	"time"
)

func TestCompile(t *testing.T) {
	cases := map[string]struct {
		track Track
		error string
	}{
		"Semver":             {track: Track{Strategy: Semver, Range: ">=1.0.0 <2"}},
		"Newest":             {track: Track{Strategy: Newest, Allow: []string{"^main-"}, Ignore: []string{"-debug$"}}},
		"Digest":             {track: Track{Strategy: Digest, Tag: "latest"}},
		"Alphabetical":       {track: Track{Strategy: Alphabetical, Order: Descending}},
		"Nothing":            {error: `"" is no strategy: write semver, newest, digest or alphabetical`},
		"Unknown":            {track: Track{Strategy: "latest"}, error: `"latest" is no strategy`},
		"NoRange":            {track: Track{Strategy: Semver}, error: `semver: "" is no range of versions`},
		"BadRange":           {track: Track{Strategy: Semver, Range: "one"}, error: `semver: "one" is no range`},
		"HugeRange":          {track: Track{Strategy: Semver, Range: strings.Repeat("1.0.0 ", 1000)}, error: "is no range"},
		"NoTag":              {track: Track{Strategy: Digest}, error: `digest: "" is no tag`},
		"BadTag":             {track: Track{Strategy: Digest, Tag: "a b"}, error: "is no tag"},
		"TagKeptOut":         {track: Track{Strategy: Digest, Tag: "latest", Allow: []string{"^v"}}, error: "digest: the tag latest is kept out by allow and ignore"},
		"BadOrder":           {track: Track{Strategy: Alphabetical, Order: "up"}, error: `alphabetical: "up" is no order: write asc or desc`},
		"TwoStrategies":      {track: Track{Strategy: Newest, Range: "1.x"}, error: "semver does not go with newest"},
		"BadExpression":      {track: Track{Strategy: Newest, Allow: []string{"a", "("}}, error: `allow[1]: "(" is no regular expression: missing closing )`},
		"LongExpression":     {track: Track{Strategy: Newest, Ignore: []string{strings.Repeat("a", 600)}}, error: "ignore[0] is longer than 512 bytes"},
		"ExplodingExpresion": {track: Track{Strategy: Newest, Allow: []string{"((a{100}){100}){100}"}}, error: "is no regular expression"},
		"ManyExpressions":    {track: Track{Strategy: Newest, Allow: make([]string, 40)}, error: "allow has 40 expressions, and 32 at most are taken"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(tc.track)
			if (tc.error != "") != (err != nil) || (err != nil && !strings.Contains(err.Error(), tc.error)) {
				t.Fatalf("got error %v, want %q", err, tc.error)
			}
		})
	}
}

func TestFits(t *testing.T) {
	cases := map[string]struct {
		reason  string
		track   Track
		yes, no []string
	}{
		"Range": {
			reason: "a version has three numbers, and pre-releases are followed only if the range names one",
			track:  Track{Strategy: Semver, Range: ">=1.0.0"},
			yes:    []string{"1.0.0", "v1.2.3", "10.0.0"},
			no:     []string{"0.9.9", "1.1.0-rc.1", "2", "2.0", "20260102", "1234567", "latest", "vv1.2.3", "1.2.3.4", "01.2.3", "99999999999999999999.0.0"},
		},
		"PreReleases": {
			reason: "the range names a pre-release",
			track:  Track{Strategy: Semver, Range: ">=1.0.0-0 <2.0.0-0"},
			yes:    []string{"1.0.0-rc.1", "1.0.0", "1.9.0-alpha"}, no: []string{"2.0.0-rc.1", "0.9.0"},
		},
		"PreReleasesOfOneRange": {
			reason: "each part of a range stands for itself",
			track:  Track{Strategy: Semver, Range: "1.x || >=2.0.0-0"},
			yes:    []string{"1.1.0", "2.0.0-rc.1"}, no: []string{"1.1.0-rc.1"},
		},
		"AllowAndIgnore": {
			reason: "one of allow must match, and none of ignore",
			track:  Track{Strategy: Newest, Allow: []string{"^main-", "^release-"}, Ignore: []string{"debug", "^main-0"}},
			yes:    []string{"main-1", "release-0"}, no: []string{"feature-1", "main-1-debug", "main-0"},
		},
		"Key": {
			reason: "the group named key is compared in place of the tag",
			track:  Track{Strategy: Semver, Range: "^1", Allow: []string{`^checkout-(?P<key>.+)$`}},
			yes:    []string{"checkout-1.2.3"}, no: []string{"1.2.3", "checkout-2.0.0"},
		},
		"Attached": {
			reason: "signatures and attestations are no images, though they have tags",
			track:  Track{Strategy: Newest},
			yes:    []string{"sha256-abc"},
			no:     []string{strings.Replace(digestA, ":", "-", 1) + ".sig", strings.Replace(digestA, ":", "-", 1) + ".att", strings.Replace(digestA, ":", "-", 1)},
		},
		"Digest":    {track: Track{Strategy: Digest, Tag: "latest"}, yes: []string{"latest"}, no: []string{"latest2"}},
		"NotATag":   {track: Track{Strategy: Alphabetical}, no: []string{"", "a b", "a\nb", strings.Repeat("a", 200)}},
		"NoUpgrade": {reason: "letters are compared as written", track: Track{Strategy: Alphabetical, Allow: []string{"^A"}}, yes: []string{"AB"}, no: []string{"ab"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := mustCompile(t, tc.track)
			for _, tag := range tc.yes {
				if !p.Fits(tag) {
					t.Errorf("%s does not fit: %s", tag, tc.reason)
				}
			}
			for _, tag := range tc.no {
				if p.Fits(tag) {
					t.Errorf("%s fits: %s", tag, tc.reason)
				}
			}
		})
	}
	if (Policy{}).Fits("latest") {
		t.Error("the zero Policy follows something")
	}
}

func mustCompile(t *testing.T, track Track) Policy {
	t.Helper()
	p, err := Compile(track)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBuildTime(t *testing.T) {
	built := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	cases := map[string]struct {
		created time.Time
		labels  []string
		want    time.Time
	}{
		"Created":        {created: built, labels: []string{"2020-01-01T00:00:00Z"}, want: built},
		"InUTC":          {created: built.In(time.FixedZone("", 3600)), want: built},
		"Label":          {labels: []string{"2026-03-04T06:06:07+01:00"}, want: built},
		"Bazel":          {created: time.Unix(0, 0), labels: []string{"2026-03-04T05:06:07Z"}, want: built},
		"Buildpacks":     {created: time.Date(1980, 1, 1, 0, 0, 1, 0, time.UTC)},
		"SecondLabel":    {labels: []string{"yesterday", "1970-01-01T00:00:00Z", "2026-03-04T05:06:07Z"}, want: built},
		"BeforeComputer": {created: time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)},
		"Nothing":        {},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := BuildTime(tc.created, tc.labels...); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("semver", ">=1.0.0", "", "asc", "^v(?P<key>.*)$", "x", "1.2.3")
	f.Add("digest", "", "latest", "", "", "", "latest")
	f.Add("newest", "", "", "", "(", "a*", "b")
	f.Fuzz(func(t *testing.T, strategy, versions, tag, order, allow, ignore, candidate string) {
		p, err := Compile(Track{Strategy: Strategy(strategy), Range: versions, Tag: tag, Order: Order(order), Allow: []string{allow}, Ignore: []string{ignore}})
		if err != nil {
			return
		}
		choice, why, ok := Pick(p, Candidate{}, []Candidate{{Tag: candidate, Digest: digestA, Created: time.Unix(9, 0)}}, nil)
		if ok != p.Fits(candidate) || why == "" || (ok && choice.Digest != digestA) {
			t.Fatalf("Fits is %t, and of it alone Pick says %v, %q, %t", p.Fits(candidate), choice, why, ok)
		}
	})
}
