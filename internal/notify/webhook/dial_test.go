package webhook

import (
	"net/netip"
	"testing"
)

func TestPermit(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("fe80::1/128")}
	for address, ok := range map[string]bool{
		"203.0.113.7": true, "10.0.0.1": true, "192.168.1.1": true, "172.16.0.1": true, "2001:db8::1": true, "fd12::1": true,
		"127.0.0.1": false, "127.0.0.2": true, "127.255.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false, "::1": false,
		"169.254.169.254": false, "169.254.170.23": false, "fe80::1": true, "fe80::2": false, "fe80::2%eth0": false,
		"fd00:ec2::254": false, "fd20:ce::254": false, "100.100.100.200": false, "168.63.129.16": false,
		"::ffff:169.254.169.254": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": true, "::ffff:127.0.0.2": true,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b::808:808": true, "2002:a9fe:a9fe::1": false, "::a9fe:a9fe": false,
		"224.0.0.1": false, "255.255.255.255": false, "ff02::1": false,
	} {
		if err := permit(netip.MustParseAddr(address), allow); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}
