package crds_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/internal/testenv"
)

// TestChecksThatAreNeverAskedAreRefused holds that a Check cannot be made that the probe would not ask.
func TestChecksThatAreNeverAskedAreRefused(t *testing.T) {
	plane := testenv.Plane(t)
	c, err := client.New(plane.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	install(t, c)
	headers := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("X-%d: v", i)
		}
		return "url: 'https://example.com', headers: {" + strings.Join(all, ", ") + "}"
	}
	cases := map[string]struct{ http, want string }{
		"Least":           {"url: 'https://example.com'", ""},
		"All":             {"url: 'http://{service}.{environment}.example.com:8080/a?b=c@d', method: OPTIONS, headers: {Accept: a, X_y: b}, status: [200, 599], body: '\"ready\": ?true', timeout: 1m", ""},
		"Service":         {"url: 'service://{service}:http/ready', headers: {accept: text/plain}, body: ready", ""},
		"ServiceTLS":      {"url: 'service://https:web:8443'", ""},
		"HeadersMost":     {headers(20), ""},
		"HeadersMany":     {headers(21), "must have at most 20 items"},
		"HeaderReserved":  {"url: 'https://example.com', headers: {connection: close}", "such as Connection"},
		"HeaderName":      {"url: 'https://example.com', headers: {'a b': c}", "holds a name that is none"},
		"Scheme":          {"url: 'ftp://example.com'", "must begin with https://"},
		"User":            {"url: 'https://me:pw@example.com'", "name no user"},
		"ServiceNoPort":   {"url: 'service://web'", "service://NAME:PORT/path"},
		"ServiceNoPort2":  {"url: 'service://web/ready:1'", "service://NAME:PORT/path"},
		"ServiceMethod":   {"url: 'service://web:80', method: OPTIONS", "must be GET for a service:// URL"},
		"ServiceHeader":   {"url: 'service://web:80', headers: {X-A: b}", "anything but Accept"},
		"HeadBody":        {"url: 'https://example.com', method: HEAD, body: ready", "does not go with method HEAD"},
		"HeadWithoutBody": {"url: 'https://example.com', method: HEAD", ""},
		"Body":            {"url: 'https://example.com', body: 'ready('", "http.body"},
		"StatusEarly":     {"url: 'https://example.com', status: [100]", "greater than or equal to 200"},
		"StatusLate":      {"url: 'https://example.com', status: [600]", "less than or equal to 599"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			u := object(t, "apiVersion: sengu.dev/v1alpha1\nkind: Check\nmetadata: {name: a}\nspec:\n  http: {"+tc.http+"}\n")
			u.SetNamespace("default")
			create(t, c, u, tc.want)
		})
	}
}
