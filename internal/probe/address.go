package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

// errAddress is the error of a dial to an address that is refused.
var errAddress = errors.New("the address is refused")

// special are networks that a look does not lead to, beyond what netip knows by name.
var special = prefixes(
	"0.0.0.0/8",       // this host
	"240.0.0.0/4",     // reserved, with the broadcast address
	"100.100.100.200", // metadata of Alibaba Cloud
	"168.63.129.16",   // the host of an Azure machine
	"192.0.0.192",     // metadata of Oracle Cloud
	"fd00:ec2::/32",   // metadata, credentials and time of AWS
	"fd20:ce::254",    // metadata of Google Cloud
)

// carriers are networks of IPv6 whose addresses stand for one of IPv4, with the place of its first byte.
var carriers = []struct {
	network netip.Prefix
	at      int
	flipped bool
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12, false},
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12, false},
	{netip.MustParsePrefix("2002::/16"), 2, false},
	{netip.MustParsePrefix("2001::/32"), 12, true},
	{netip.MustParsePrefix("::/96"), 12, false},
}

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, text := range list {
		if strings.Contains(text, "/") {
			all[i] = netip.MustParsePrefix(text)
			continue
		}
		a := netip.MustParseAddr(text)
		all[i] = netip.PrefixFrom(a, a.BitLen())
	}
	return all
}

// forbidden says whether no look leads to a, unless the operator allows the URL.
func forbidden(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return true
	}
	for _, network := range special {
		if network.Contains(a) {
			return true
		}
	}
	if a.Is4() {
		return false
	}
	bytes := a.As16()
	for _, c := range carriers {
		if !c.network.Contains(a) {
			continue
		}
		inner := [4]byte(bytes[c.at : c.at+4])
		if c.flipped {
			for i := range inner {
				inner[i] ^= 0xff
			}
		}
		if forbidden(netip.AddrFrom4(inner)) {
			return true
		}
	}
	return false
}

// allowed is a part of the web that a look may lead to wherever it is.
type allowed struct {
	origin string
	// path is empty for all of the origin.
	path string
}

func parseAllowed(raw string) (allowed, error) {
	u, err := parseURL(raw)
	switch {
	case err != nil:
		return allowed{}, fmt.Errorf("allowed address %q: %w", cutText(raw, 200), err)
	case u.RawQuery != "" || u.ForceQuery:
		return allowed{}, fmt.Errorf("allowed address %q: it must not have a query", cutText(raw, 200))
	case !plain(u):
		return allowed{}, fmt.Errorf("allowed address %q: its path must not hold dots between slashes, or slashes in another spelling", cutText(raw, 200))
	}
	return allowed{origin: origin(u), path: strings.TrimSuffix(u.Path, "/")}, nil
}

// covers says whether u is at or below the address.
func (a allowed) covers(u *url.URL) bool {
	if origin(u) != a.origin {
		return false
	}
	if a.path == "" {
		return true
	}
	return plain(u) && (u.Path == a.path || strings.HasPrefix(u.Path, a.path+"/"))
}

// origin returns scheme, host and port in the one spelling.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// plain says whether every server reads the path of u as the same one: nothing in it goes up, or is a slash in another
// spelling.
func plain(u *url.URL) bool {
	escaped := strings.ToLower(u.EscapedPath())
	for _, bad := range []string{"%2f", "%5c", "%2e", "%25", "\\", ";", "%3b", "%00"} {
		if strings.Contains(escaped, bad) {
			return false
		}
	}
	clean := path.Clean("/" + u.Path)
	return u.Path == "" || u.Path == clean || u.Path == clean+"/"
}
