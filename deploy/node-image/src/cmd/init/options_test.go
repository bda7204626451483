package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func parse(t *testing.T, env map[string]string, args ...string) (*options, error) {
	t.Helper()
	return parseOptions(args, func(name string) string { return env[name] })
}

func TestRoleFollowsCommandThenURL(t *testing.T) {
	agent := map[string]string{"K3S_URL": "https://s:6443", "K3S_TOKEN": "x"}
	for _, c := range []struct {
		env  map[string]string
		args []string
		want role
	}{
		{nil, nil, roleServer},
		{nil, []string{"server"}, roleServer},
		{nil, []string{"--tls-san=a"}, roleServer},
		{agent, nil, roleAgent},
		{agent, []string{"agent"}, roleAgent},
		{agent, []string{"server"}, roleServer},
		{nil, []string{"--server=https://s:6443", "--token", "x"}, roleAgent},
	} {
		o, err := parse(t, c.env, c.args...)
		if err != nil || o.role != c.want {
			t.Errorf("%v %v: role %v, %v; want %v", c.env, c.args, o, err, c.want)
		}
	}
}

func TestValuesAndDefaults(t *testing.T) {
	o, err := parse(t, map[string]string{"K3S_NODE_NAME": "n1"}, "server", "--tls-san=a,b", "--tls-san", "c", "--disable=coredns,traefik",
		"--kubelet-arg=max-pods=5", "--kube-apiserver-arg", "--v=4", "--node-taint=k=v:NoSchedule", "--cluster-domain=x.test", "-o", "/out")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "c"}; !reflect.DeepEqual(o.sans, want) {
		t.Errorf("sans %v, want %v", o.sans, want)
	}
	if want := []string{"coredns", "traefik"}; !reflect.DeepEqual(o.disable, want) {
		t.Errorf("disable %v, want %v", o.disable, want)
	}
	if want := map[string][]string{"kubelet": {"--max-pods=5"}, "kube-apiserver": {"--v=4"}}; !reflect.DeepEqual(o.extra, want) {
		t.Errorf("extra %v, want %v", o.extra, want)
	}
	if o.nodeName != "n1" || o.domain != "x.test" || o.kubeconfigOut != "/out" || o.kubeconfigMode != "600" || o.serviceCIDR != "10.43.0.0/16" {
		t.Errorf("unexpected %+v", o)
	}
}

func TestForeignOptionsAreNotedAndUnknownOnesRefused(t *testing.T) {
	o, err := parse(t, nil, "server", "--cluster-init", "--flannel-backend=vxlan", "--snapshotter", "native")
	if err != nil || len(o.notes) != 3 {
		t.Fatalf("notes %v, %v; want three", o, err)
	}
	for want, args := range map[string][]string{
		"unknown option --no-such":                       {"--no-such=1"},
		"option --tls-san needs a value":                 {"--tls-san"},
		`unexpected argument "x"`:                        {"server", "x"},
		`unknown command "etcd"`:                         {"etcd"},
		"K3S_URL and K3S_TOKEN":                          {"agent"},
		"option --https-listen-port: only 6443":          {"--https-listen-port=7443"},
		"agent: K3S_URL and K3S_TOKEN (or --server and ": {"--server=https://s:6443"},
	} {
		if _, err := parse(t, nil, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", args, err, want)
		}
	}
}

func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o, err := parse(t, map[string]string{"K3S_TOKEN_FILE": file}); err != nil || o.token != "secret" {
		t.Errorf("token from file: %v, %v", o, err)
	}
	if o, err := parse(t, map[string]string{"K3S_TOKEN_FILE": file, "K3S_TOKEN": "direct"}); err != nil || o.token != "direct" {
		t.Errorf("the variable goes first: %v, %v", o, err)
	}
	if _, err := parse(t, map[string]string{"K3S_TOKEN_FILE": file + "-missing"}); err == nil {
		t.Error("a missing token file is an error")
	}
}
