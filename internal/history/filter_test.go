package history_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/history"
)

func TestMatch(t *testing.T) {
	event := history.Event{
		Key: "k", Time: start, Kind: history.Done, Fleet: "shop", Service: "checkout", Environment: "staging", Release: "r", Group: "g",
	}
	cases := map[string]struct {
		filter history.Filter
		want   bool
	}{
		"Everything":       {history.Filter{}, true},
		"AllFields":        {history.Filter{Fleet: "shop", Service: "checkout", Environment: "staging", Release: "r", Group: "g", Kinds: []history.Kind{history.Failed, history.Done}}, true},
		"OtherFleet":       {history.Filter{Fleet: "x"}, false},
		"OtherService":     {history.Filter{Service: "x"}, false},
		"OtherEnvironment": {history.Filter{Environment: "x"}, false},
		"OtherRelease":     {history.Filter{Release: "x"}, false},
		"OtherGroup":       {history.Filter{Group: "x"}, false},
		"OtherKind":        {history.Filter{Kinds: []history.Kind{history.Failed}}, false},
		"FromThen":         {history.Filter{From: start}, true},
		"FromLater":        {history.Filter{From: start.Add(1)}, false},
		"ToThen":           {history.Filter{To: start}, false},
		"ToLater":          {history.Filter{To: start.Add(1)}, true},
		"BeforeItself":     {history.Filter{Before: history.After(event)}, false},
		"BeforeNextKey":    {history.Filter{Before: history.Cursor{Time: start, Key: "l"}}, true},
		"BeforeEarlier":    {history.Filter{Before: history.Cursor{Time: start.Add(-1), Key: "z"}}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.filter.Match(event); got != tc.want {
				t.Errorf("%+v matches: %v, want %v", tc.filter, got, tc.want)
			}
		})
	}
}

func TestPageAsJSON(t *testing.T) {
	page := history.Page{Next: history.Cursor{Time: start, Key: "a b"}}
	text, err := json.Marshal(page)
	if err != nil {
		t.Fatal(err)
	}
	var got history.Page
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if text, err = json.Marshal(history.Page{}); err != nil || string(text) != `{"events":null}` {
		t.Errorf("the last page is %s (%v)", text, err)
	}
	if err := json.Unmarshal([]byte(`{"next":"~"}`), &got); err == nil {
		t.Error("a cursor that is none was read")
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add(history.Cursor{Time: start, Key: "shop/checkout/r1"}.String())
	f.Add(history.Cursor{Time: time.Unix(0, -1), Key: "\x00 \xff"}.String())
	f.Add("MTIz")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := history.ParseCursor(s)
		if err != nil {
			return
		}
		again, err := history.ParseCursor(c.String())
		if err != nil || again != c {
			t.Errorf("%q was read as %+v, and that as %+v (%v)", s, c, again, err)
		}
	})
}
