package worker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

// A template may call a function whose value nobody decided (a random string, the time) and then not use the value:
// `default (randAlphaNum 16) .Values.password` calls it even when the password is given. So a call alone is no
// reason to refuse a chart. The functions are replaced by stand-ins that return one of two fixed values; when the
// chart renders the same with either, the value does not matter and the output is that of Helm. When it differs, the
// function is refused by its name and place.

// stance says what the undecided functions do in one run of the engine.
type stance struct {
	other  map[string]bool // functions that return their other value; "*" for all
	refuse string          // a function that fails when it is called
	only   int             // the one call, counted from 1, of which other and refuse speak; 0 for all
	called map[string]int  // how often each function was called
}

func newStance() *stance { return &stance{called: map[string]int{}} }

var errUndecided = errors.New("its value is not decided by the input")

// use notes a call of function name. alt tells whether it returns its other value.
func (s *stance) use(name string) (alt bool, err error) {
	s.called[name]++
	if s.only != 0 && s.only != s.called[name] {
		return false, nil
	}
	if s.refuse == name {
		return false, fmt.Errorf("%s: %w", name, errUndecided)
	}
	return s.other["*"] || s.other[name], nil
}

// undecided returns the names of the functions that were called, sorted.
func (s *stance) undecided() []string {
	names := make([]string, 0, len(s.called))
	for n := range s.called {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// pair is the certificate and key that the certificate functions return.
type pair struct{ Cert, Key string }

// functions returns the stand-ins.
func (s *stance) functions() template.FuncMap {
	f := template.FuncMap{}
	for name, chars := range map[string][2]string{
		"randAlphaNum": {"a1B2c3D4", "Z9y8X7w6"}, "randAlpha": {"aBcDeFgH", "ZyXwVuTs"},
		"randNumeric": {"12345678", "90817263"}, "randAscii": {"a1!B2?c3", "Z9+y8*X7"}, "randBytes": {"QUJDREVG", "WllYV1ZV"},
	} {
		f[name] = func(n int) (string, error) {
			alt, err := s.use(name)
			c := chars[index(alt)]
			return strings.Repeat(c, max(n, 0)/len(c)+1)[:max(n, 0)], err
		}
	}
	for name, v := range map[string][2]string{
		"uuidv4":        {"11111111-1111-4111-8111-111111111111", "22222222-2222-4222-9222-222222222222"},
		"genPrivateKey": {fakePEM("PRIVATE KEY", "AAAA"), fakePEM("PRIVATE KEY", "BBBB")},
		"bcrypt":        {"$2a$10$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$2a$10$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"},
		"encryptAES":    {"QUFBQQ==", "QkJCQg=="},
	} {
		f[name] = func(...any) (string, error) {
			alt, err := s.use(name)
			return v[index(alt)], err
		}
	}
	for _, name := range []string{"genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey"} {
		f[name] = func(...any) (pair, error) {
			alt, err := s.use(name)
			fill := []string{"AAAA", "BBBB"}[index(alt)]
			return pair{Cert: fakePEM("CERTIFICATE", fill), Key: fakePEM("RSA PRIVATE KEY", fill)}, err
		}
	}
	f["htpasswd"] = func(user, _ string) (string, error) {
		alt, err := s.use("htpasswd")
		return user + ":$2a$10$" + strings.Repeat([]string{"A", "B"}[index(alt)], 32), err
	}
	f["randInt"] = func(low, high int) (int, error) {
		alt, err := s.use("randInt")
		if alt {
			return max(low, high-1), err
		}
		return low, err
	}
	f["shuffle"] = func(str string) (string, error) {
		alt, err := s.use("shuffle")
		r := []rune(str)
		if alt {
			slices.Reverse(r)
		}
		return string(r), err
	}
	s.clock(f)
	return f
}

func index(alt bool) int {
	if alt {
		return 1
	}
	return 0
}

func fakePEM(kind, fill string) string {
	return "-----BEGIN " + kind + "-----\n" + strings.Repeat(fill, 16) + "\n-----END " + kind + "-----\n"
}

// clock adds the functions that look at the time, by themselves or when their argument is no time.
func (s *stance) clock(f template.FuncMap) {
	at := func(name string) (time.Time, error) {
		alt, err := s.use(name)
		if alt {
			return time.Date(2032, time.November, 28, 19, 47, 51, 0, time.UTC), err
		}
		return time.Date(2001, time.February, 3, 4, 5, 6, 0, time.UTC), err
	}
	f["now"] = func() (time.Time, error) { return at("now") }
	f["ago"] = func(any) (string, error) {
		t, err := at("ago")
		return t.Sub(time.Unix(0, 0)).String(), err
	}
	originals := sprig.TxtFuncMap()
	round := originals["durationRound"].(func(any) string)
	f["durationRound"] = func(d any) (string, error) {
		then, ok := d.(time.Time)
		if !ok {
			return round(d), nil
		}
		t, err := at("durationRound")
		return round(int64(t.Sub(then))), err
	}
	inZone := originals["dateInZone"].(func(string, any, string) string)
	date := func(name string) func(string, any, string) (string, error) {
		return func(layout string, d any, zone string) (string, error) {
			switch d.(type) {
			case time.Time, *time.Time, int64, int, int32:
				return inZone(layout, d, zone), nil
			}
			t, err := at(name)
			return inZone(layout, t, zone), err
		}
	}
	for _, name := range []string{"dateInZone", "date_in_zone"} {
		f[name] = date(name)
	}
	f["htmlDateInZone"] = func(d any, zone string) (string, error) { return date("htmlDateInZone")("2006-01-02", d, zone) }
	f["date"] = func(layout string, d any) (string, error) { return date("date")(layout, d, "Local") }
	f["htmlDate"] = func(d any) (string, error) { return date("htmlDate")("2006-01-02", d, "Local") }
}

// ordered returns the functions whose result has the order of a Go map, which changes from run to run, in sorted
// order: one of the results that Helm may give, and always the same.
func ordered() template.FuncMap {
	return template.FuncMap{
		"keys": func(dicts ...map[string]any) []string {
			n := 0
			for _, d := range dicts {
				n += len(d)
			}
			k := make([]string, 0, n)
			for _, d := range dicts {
				k = append(k, sortedKeys(d)...)
			}
			return k
		},
		"values": func(d map[string]any) []any {
			v := make([]any, 0, len(d))
			for _, k := range sortedKeys(d) {
				v = append(v, d[k])
			}
			return v
		},
	}
}

func sortedKeys[V any](m map[string]V) []string {
	k := make([]string, 0, len(m))
	for key := range m {
		k = append(k, key)
	}
	slices.Sort(k)
	return k
}
