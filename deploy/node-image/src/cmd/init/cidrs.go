package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
)

// podRanges hands out one /24 of the cluster's pod range to each node name and remembers it in a file, which the control plane's
// tasks read as well. A node that comes back gets the same one.
type podRanges struct {
	lock    sync.Mutex
	file    string
	cluster *net.IPNet
	byName  map[string]string
}

func openPodRanges(file, cluster string) (*podRanges, error) {
	_, network, err := net.ParseCIDR(cluster)
	if err != nil {
		return nil, err
	}
	ones, bits := network.Mask.Size()
	if bits != 32 || ones > 24 {
		return nil, fmt.Errorf("cluster CIDR %s: an IPv4 network of /24 or larger is needed", cluster)
	}
	r := &podRanges{file: file, cluster: network, byName: map[string]string{}}
	if data, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(data, &r.byName); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return r, nil
}

func (r *podRanges) assign(name string) (string, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if given := r.byName[name]; given != "" {
		return given, nil
	}
	used := map[string]bool{}
	for _, given := range r.byName {
		used[given] = true
	}
	base := r.cluster.IP.To4()
	for i := 0; ; i++ {
		ip := net.IPv4(base[0], base[1]+byte(i>>8), base[2]+byte(i), 0)
		if !r.cluster.Contains(ip) || i == 1<<16 {
			return "", fmt.Errorf("no pod range left in %s", r.cluster)
		}
		candidate := ip.String() + "/24"
		if used[candidate] {
			continue
		}
		r.byName[name] = candidate
		data, err := json.Marshal(r.byName)
		if err != nil {
			return "", err
		}
		writeFile(r.file, data, 0o644)
		return candidate, nil
	}
}

// addressIn is the n-th address of a network.
func addressIn(cidr string, n byte) (string, error) {
	_, network, err := net.ParseCIDR(cidr)
	if err != nil || network.IP.To4() == nil {
		return "", fmt.Errorf("%q is no IPv4 network", cidr)
	}
	ip := append(net.IP{}, network.IP.To4()...)
	ip[3] += n
	return ip.String(), nil
}
