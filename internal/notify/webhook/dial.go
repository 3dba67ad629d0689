package webhook

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// forbidden are addresses that a webhook has no business with: what only this machine may reach, and where clouds keep
// the credentials of the machine.
var forbidden = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("127.0.0.0/8"), "is of this machine itself"},
	{netip.MustParsePrefix("::1/128"), "is of this machine itself"},
	{netip.MustParsePrefix("0.0.0.0/8"), "is of this machine itself"},
	{netip.MustParsePrefix("::/128"), "is of this machine itself"},
	{netip.MustParsePrefix("169.254.0.0/16"), "is link-local, where metadata services are"},
	{netip.MustParsePrefix("fe80::/10"), "is link-local"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "is of a metadata service"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "is of a metadata service"},
	{netip.MustParsePrefix("100.100.100.200/32"), "is of a metadata service"},
	{netip.MustParsePrefix("168.63.129.16/32"), "is of a metadata service"},
	{netip.MustParsePrefix("192.0.0.192/32"), "is of a metadata service"},
	{netip.MustParsePrefix("224.0.0.0/4"), "is of many machines"},
	{netip.MustParsePrefix("255.255.255.255/32"), "is of many machines"},
	{netip.MustParsePrefix("ff00::/8"), "is of many machines"},
}

// embeds are prefixes of IPv6 in which an IPv4 address stands at a byte: translated (NAT64), 6to4, and compatible.
var embeds = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
}

// addressError says that an address may not be connected to.
type addressError struct{ sentence string }

func (e *addressError) Error() string { return e.sentence }

// guard is a net.Dialer's ControlContext: it sees the address that is really dialled, after the name was resolved.
func guard(allow []netip.Prefix) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return &addressError{"the address of the receiver cannot be understood"}
		}
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return &addressError{"the address of the receiver cannot be understood"}
		}
		return permit(addr, allow)
	}
}

func permit(addr netip.Addr, allow []netip.Prefix) error {
	addr = addr.WithZone("").Unmap()
	if slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return nil
	}
	for _, f := range forbidden {
		if f.prefix.Contains(addr) {
			return &addressError{fmt.Sprintf("the receiver has the address %s, which %s: allow it by its prefix if that is meant", addr, f.what)}
		}
	}
	for _, e := range embeds {
		if e.prefix.Contains(addr) {
			bytes := addr.As16()
			return permit(netip.AddrFrom4([4]byte(bytes[e.at:e.at+4])), allow)
		}
	}
	return nil
}
