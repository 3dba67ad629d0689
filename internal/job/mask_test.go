package job

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

func TestHide(t *testing.T) {
	cases := map[string]struct {
		reason string
		values []string
		text   string
		want   string
	}{
		"Plain":        {"A value is hidden wherever it stands.", []string{"hunter22"}, "a hunter22 b hunter22", "a *** b ***"},
		"Adjacent":     {"Also side by side.", []string{"hunter22"}, "hunter22hunter22", "***"},
		"Overlapping":  {"Values that overlap leave nothing of either.", []string{"abcd", "cdefgh"}, "xabcdefghy", "x***y"},
		"SelfOverlap":  {"Nor does one that overlaps itself.", []string{"abab"}, "xababab", "x***"},
		"Inside":       {"One within another does not show the rest.", []string{"hunter", "hunter22"}, "a hunter22 b", "a *** b"},
		"LineBreak":    {"A Secret made from a file ends with a line break, and programs leave it out.", []string{"hunter22\n"}, "a hunter22 b", "a *** b"},
		"Lines":        {"A key is found line by line.", []string{"-----BEGIN KEY-----\nabcdefghijkl\nmnopqrstuvwx\n"}, "read abcdefghijkl\nthen mnopqrstuvwx", "read ***\nthen ***"},
		"Base64":       {"Whoever prints a Secret prints base64.", []string{"hunter22"}, "data: " + base64.StdEncoding.EncodeToString([]byte("hunter22")), "data: ***="},
		"JSON":         {"JSON writes it in its own way.", []string{`hun"ter\22`}, `{"password":"hun\"ter\\22"}`, `{"password":"***"}`},
		"URL":          {"So does a URL.", []string{"hunt er+22"}, "?password=hunt+er%2B22&x", "?password=***&x"},
		"PasswordOf":   {"The password of a URL is one by itself.", []string{"postgres://shop:hunter22@db/shop"}, "user shop, password hunter22", "user shop, password ***"},
		"Short":        {"A value of three letters is in every log.", []string{"yes", ""}, "yes, it runs", "yes, it runs"},
		"NoValues":     {"What is a credential by itself is hidden without knowing it.", nil, "dial postgres://shop:hunter22@db:5432/shop", "dial postgres://shop:***@db:5432/shop"},
		"Bearer":       {"So is a token behind its word.", nil, "Authorization: Bearer abcdef0123456789", "Authorization: Bearer ***"},
		"ServiceToken": {"And a signed token.", nil, "token eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2ln x", "token *** x"},
		"Untouched":    {"The rest stays as it is.", []string{"hunter22"}, "line\nline\n", "line\nline\n"},
		"Empty":        {"Nothing is nothing.", []string{"hunter22"}, "", ""},
		"AtTheEnds":    {"Beginning and end are no exception.", []string{"hunter22"}, "hunter22", "***"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var values [][]byte
			for _, v := range tc.values {
				values = append(values, []byte(v))
			}
			if got := string(NewMask(values...).Hide([]byte(tc.text))); got != tc.want {
				t.Errorf("%s\ngot  %q\nwant %q", tc.reason, got, tc.want)
			}
		})
	}
}

// FuzzHide holds that no value is left in a text, and that nothing is changed where there is none.
func FuzzHide(f *testing.F) {
	f.Add("hunter22", "abab", "x hunter22 ababab y")
	f.Add("abcd", "cdef", "abcdefabcd")
	f.Fuzz(func(t *testing.T, one, two, text string) {
		mask := NewMask([]byte(one), []byte(two))
		got := mask.Hide([]byte(text))
		for _, v := range []string{one, two} {
			// What stands for a value may itself be one, or end one that what is left begins.
			if len(v) >= minSecret && !strings.Contains(v, "*") && bytes.Contains(got, []byte(v)) {
				t.Errorf("%q is left of %q: %q", v, text, got)
			}
		}
		again := Mask{}.Hide([]byte(text))
		if len(one) < minSecret && len(two) < minSecret && !strings.Contains(one+two, "\n") && !bytes.Equal(again, got) {
			t.Errorf("without values, %q becomes %q", text, got)
		}
	})
}

func TestPrintable(t *testing.T) {
	got := string(printable([]byte("a\x1b[31mred\x1b[0m\r\nb\x1b]0;title\x07c\x00\u202ed\xffe\tf\n")))
	if want := "ared\nbcd�e\tf\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLast(t *testing.T) {
	cases := map[string]struct {
		text  string
		limit int64
		want  string
	}{
		"Fits":      {"a\nb", 100, "a\nb\n"},
		"Cut":       {strings.Repeat("line\n", 20), int64(len(left)) + 12, left + "line\nline\n"},
		"OneLine":   {strings.Repeat("x", 200), int64(len(left)) + 5, left + "xxxx\n"},
		"NoRoom":    {strings.Repeat("x", 200), 3, left},
		"Character": {strings.Repeat("é", 50), int64(len(left)) + 4, left + "é\n"},
		"Empty":     {"", 10, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := string(last([]byte(tc.text), tc.limit)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
