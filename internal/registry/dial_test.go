package registry

import (
	"net/netip"
	"testing"
)

func TestDialer(t *testing.T) {
	type step struct {
		name, address string
		want          bool
	}
	cases := map[string]struct {
		reason string
		steps  []step
	}{
		"Public": {
			reason: "a registry out there may send us to others out there, and not in here",
			steps: []step{
				{"registry.example.com", "203.0.113.1", true}, {"blobs.example.com", "198.51.100.1", true},
				{"blobs.example.com", "10.0.0.1", false}, {"blobs.example.com", "127.0.0.1", false}, {"blobs.example.com", "fd00::1", false},
				{"blobs.example.com", "100.64.0.1", false}, {"blobs.example.com", "::ffff:10.0.0.1", false},
			},
		},
		"Private": {
			reason: "a registry in here may send us to others in here, and not to this machine",
			steps: []step{
				{"registry.example.com", "10.0.0.1", true}, {"blobs.example.com", "192.168.1.1", true}, {"blobs.example.com", "203.0.113.1", true},
				{"blobs.example.com", "127.0.0.1", false},
			},
		},
		"ThisMachine": {
			reason: "a registry on this machine may send us anywhere",
			steps:  []step{{"registry.example.com", "::1", true}, {"blobs.example.com", "127.0.0.1", true}, {"blobs.example.com", "10.0.0.1", true}},
		},
		"Metadata": {
			reason: "where clouds keep their credentials nobody sends us, also not by the name of the registry itself",
			steps: []step{
				{"registry.example.com", "169.254.169.254", false}, {"registry.example.com", "fd00:ec2::254", false}, {"registry.example.com", "fe80::1", false},
				{"registry.example.com", "::ffff:169.254.169.254", false}, {"registry.example.com", "0.0.0.0", false}, {"registry.example.com", "224.0.0.1", false},
				{"registry.example.com", "10.0.0.1", true}, {"blobs.example.com", "169.254.169.254", false},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := &dialer{host: "registry.example.com"}
			for _, s := range tc.steps {
				if got := d.allows(s.name, netip.MustParseAddr(s.address)); got != s.want {
					t.Errorf("%s at %s: %t, want %t: %s", s.name, s.address, got, s.want, tc.reason)
				}
			}
		})
	}
}

func TestOnThisMachine(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "a.localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true,
		"localhost.example.com": false, "notlocalhost": false, "10.0.0.1": false, "192.168.0.1": false, "registry": false, "": false, "0.0.0.0": false,
	} {
		if got := onThisMachine(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}
