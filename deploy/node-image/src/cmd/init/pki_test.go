package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIssuedCertificatesVerify(t *testing.T) {
	dir := t.TempDir()
	ca := openAuthority(dir, "ca", "node-ca")
	id := ca.issue("kube-apiserver", nil, "localhost", "10.43.0.1", "localhost", "")
	if _, err := tls.X509KeyPair(id.Cert, id.Key); err != nil {
		t.Fatalf("key and certificate do not belong together: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	cert := leaf(t, id)
	for _, name := range []string{"localhost", "10.43.0.1"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	if len(cert.DNSNames) != 1 || len(cert.IPAddresses) != 1 {
		t.Errorf("names twice or empty: %v %v", cert.DNSNames, cert.IPAddresses)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: "elsewhere"}); err == nil {
		t.Error("a name that was not asked for verifies")
	}
	other := x509.NewCertPool()
	other.AddCert(openAuthority(t.TempDir(), "ca", "node-ca").cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: other, DNSName: "localhost"}); err == nil {
		t.Error("another authority's certificate verifies")
	}
}

func TestClientCertificateDoesNotServe(t *testing.T) {
	ca := openAuthority(t.TempDir(), "ca", "node-ca")
	cert := leaf(t, ca.issue("system:admin", []string{"system:masters"}))
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("a client certificate passes as a server's")
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if got := cert.Subject.Organization; len(got) != 1 || got[0] != "system:masters" {
		t.Errorf("organizations %v", got)
	}
}

func TestRestartKeepsAuthorityAndKeysPrivate(t *testing.T) {
	dir := t.TempDir()
	first, second := openAuthority(dir, "ca", "node-ca"), openAuthority(dir, "ca", "node-ca")
	if !first.cert.Equal(second.cert) || !first.key.Equal(second.key) {
		t.Error("the second start made another authority")
	}
	info, err := os.Stat(filepath.Join(dir, "ca.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ca.key: %v, %v", info, err)
	}
}

func TestKubeconfigChecksTheServersNameByAlias(t *testing.T) {
	id := identity{[]byte("c"), []byte("k")}
	if strings.Contains(string(kubeconfig("https://127.0.0.1:6443", []byte("ca"), id)), "tls-server-name") {
		t.Error("the local kubeconfig needs no other name")
	}
	if !strings.Contains(string(kubeconfig("https://alias:6443", []byte("ca"), id)), "tls-server-name: kubernetes") {
		t.Error("an alias must be checked as kubernetes")
	}
}

func leaf(t *testing.T, id identity) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(id.Cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
