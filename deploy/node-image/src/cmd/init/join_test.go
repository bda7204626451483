package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// serveTestJoin is a join listener whose certificate its own authority has issued, as the server's is.
func serveTestJoin(t *testing.T, token string, bundle func(joinRequest) (*joinReply, error)) *httptest.Server {
	t.Helper()
	ca := openAuthority(t.TempDir(), "ca", "node-ca")
	api := ca.issue("kube-apiserver", nil, "kubernetes", "127.0.0.1")
	server := httptest.NewUnstartedServer(joinHandler(token, "server", ca.pem, bundle))
	server.TLS = serverTLS(api)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestJoin(t *testing.T) {
	var asked joinRequest
	server := serveTestJoin(t, "right", func(q joinRequest) (*joinReply, error) {
		asked = q
		return &joinReply{PodCIDR: "10.42.7.0/24", CA: []byte("authority")}, nil
	})
	reply, err := tryJoin(server.URL, "right", machine{"agent-1", "172.18.0.3"})
	if err != nil || reply.PodCIDR != "10.42.7.0/24" || string(reply.CA) != "authority" {
		t.Fatalf("reply %+v, %v", reply, err)
	}
	if asked != (joinRequest{"agent-1", "172.18.0.3"}) {
		t.Errorf("the server was asked for %+v", asked)
	}
}

func TestJoinRefusals(t *testing.T) {
	server := serveTestJoin(t, "right", func(joinRequest) (*joinReply, error) { return nil, errors.New("no pod range left") })
	for _, c := range []struct {
		token string
		me    machine
		want  string
	}{
		{"wrong", machine{"agent", "10.0.0.1"}, "does not know this token"},
		{"right", machine{"server", "10.0.0.1"}, "give the agent another host name"},
		{"right", machine{"Not A Name", "10.0.0.1"}, "bad request"},
		{"right", machine{"agent", "nowhere"}, "bad request"},
		{"right", machine{"agent", "10.0.0.1"}, "no pod range left"},
	} {
		if _, err := tryJoin(server.URL, c.token, c.me); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c, err, c.want)
		}
	}
}

// Without the proof that fetchCA asks for, a request with a wrong token must still be refused.
func TestTokenIsCheckedByTheServerToo(t *testing.T) {
	server := serveTestJoin(t, "right", func(joinRequest) (*joinReply, error) { return &joinReply{}, nil })
	for _, header := range []string{"", "right", "Bearer wrong", "Bearer "} {
		q, _ := http.NewRequest(http.MethodPost, server.URL+"/join", strings.NewReader(`{"Name":"a","IP":"10.0.0.1"}`))
		q.Header.Set("Authorization", header)
		answer, err := server.Client().Do(q)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: status %d", header, answer.StatusCode)
		}
	}
}

// A man in the middle who presents an authority of his own cannot make the MAC.
func TestForeignAuthorityIsNoticed(t *testing.T) {
	foreign := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Mac", mac("guess", []byte(r.URL.Query().Get("nonce")), []byte("forged")))
		_, _ = w.Write([]byte("forged"))
	}))
	defer foreign.Close()
	if _, err := fetchCA(foreign.URL, "right"); err == nil {
		t.Error("a forged authority was accepted")
	}
}

func TestMacSeparatesItsParts(t *testing.T) {
	if mac("t", []byte("ab"), []byte("c")) == mac("t", []byte("a"), []byte("bc")) {
		t.Error("parts run into each other")
	}
}

func TestPodRanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cidrs.json")
	open := func() *podRanges {
		r, err := openPodRanges(file, "10.42.0.0/22")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open()
	for name, want := range map[string]string{"a": "10.42.0.0/24"} {
		if got, err := r.assign(name); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"b", "c", "d"} {
		if _, err := r.assign(name); err != nil {
			t.Error(err)
		}
	}
	if got, _ := open().assign("a"); got != "10.42.0.0/24" {
		t.Errorf("after a restart a has %s", got)
	}
	if got, err := r.assign("e"); err == nil {
		t.Errorf("a fifth node of a /22 has %s", got)
	}
	for _, bad := range []string{"10.42.0.0/25", "fd00::/64", "x"} {
		if _, err := openPodRanges(file, bad); err == nil {
			t.Errorf("cluster CIDR %s is accepted", bad)
		}
	}
}

func TestAddressIn(t *testing.T) {
	if got, err := addressIn("10.43.0.0/16", 1); err != nil || got != "10.43.0.1" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := addressIn("nonsense", 1); err == nil {
		t.Error("nonsense is a network")
	}
}

func TestResolvConfGoesOverTheRelay(t *testing.T) {
	text, upstream := withRelay("search x\nnameserver 127.0.0.11\noptions ndots:0\n")
	if upstream != "127.0.0.11:53" || !strings.Contains(text, "nameserver "+relayAddress) || strings.Contains(text, "127.0.0.11") || !strings.Contains(text, "search x") {
		t.Errorf("%q, %q", text, upstream)
	}
	if _, upstream := withRelay("nameserver 10.0.0.2\n"); upstream != "" {
		t.Errorf("a reachable name server needs no relay, got %q", upstream)
	}
}
