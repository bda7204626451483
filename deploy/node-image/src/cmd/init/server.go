package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const localAPI = "https://127.0.0.1:6443"

// cluster is what the server node knows: the authorities, and how addresses are given out.
type cluster struct {
	o         *options
	me        machine
	ca, front *authority
	ranges    *podRanges
	api       identity // the API server's, which the join listener shows too
	admin     identity
}

// startServer makes the certificates, starts the control plane and returns what the server's own node needs.
func startServer(o *options, me machine) *joinReply {
	c := &cluster{o: o, me: me, ranges: must(openPodRanges(stateDir+"/cidrs.json", o.clusterCIDR))}
	c.ca = openAuthority(pkiDir, "ca", "node-ca")
	c.front = openAuthority(pkiDir, "front-ca", "node-front-proxy-ca")
	c.makeCertificates()
	reply := must(c.bundle(joinRequest{me.name, me.ip}))
	reply.APIServer = localAPI
	say("certificates made")

	check(os.Setenv("NODE_DISABLE", strings.Join(o.disable, ",")))
	check(os.Setenv("NODE_DNS_IP", o.dnsIP))
	check(os.Setenv("NODE_DOMAIN", o.domain))
	keepRunning(nodeProgram, "control-plane", c.controlPlaneArguments()...)
	if o.token != "" {
		serveJoin(joinHandler(o.token, me.name, c.ca.pem, c.bundle), c.api)
	}
	go func() {
		waitForAPI(localAPI, &tls.Config{RootCAs: c.ca.pool(), Certificates: []tls.Certificate{must(tls.X509KeyPair(c.admin.Cert, c.admin.Key))}})
		say("API ready")
		mode := must(strconv.ParseUint(o.kubeconfigMode, 8, 32))
		writeFile(o.kubeconfigOut, kubeconfig(localAPI, c.ca.pem, c.admin), os.FileMode(mode))
	}()
	return reply
}

// makeCertificates writes what the control plane reads. Authorities and the service account key stay across restarts, the rest is new.
func (c *cluster) makeCertificates() {
	o := c.o
	serviceAccounts := openKey(pkiDir + "/sa.key")
	writeFile(pkiDir+"/sa.pub", publicPEM(serviceAccounts), 0o644)
	names := append([]string{
		"localhost", "127.0.0.1", "0.0.0.0", c.me.name, c.me.ip, must(os.Hostname()), must(addressIn(o.serviceCIDR, 1)),
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + o.domain,
	}, o.sans...)
	c.api = c.ca.issue("kube-apiserver", nil, names...)
	c.api.write(pkiDir, "apiserver")
	c.admin = c.ca.issue("system:admin", []string{"system:masters"})
	writeFile(configDir+"/admin.conf", kubeconfig(localAPI, c.ca.pem, c.admin), 0o600)
	c.ca.issue("kube-apiserver-kubelet-client", []string{"system:masters"}).write(pkiDir, "apiserver-kubelet")
	c.front.issue("front-proxy-client", nil).write(pkiDir, "front")
	for _, program := range []string{"kube-controller-manager", "kube-scheduler"} {
		writeFile(configDir+"/"+program+".conf", kubeconfig(localAPI, c.ca.pem, c.ca.issue("system:"+program, nil)), 0o600)
	}
}

// bundle is what a node gets when it joins.
func (c *cluster) bundle(q joinRequest) (*joinReply, error) {
	podCIDR, err := c.ranges.assign(q.Name)
	if err != nil {
		return nil, err
	}
	return &joinReply{
		CA: c.ca.pem, FrontCA: c.front.pem, PodCIDR: podCIDR, ClusterCIDR: c.o.clusterCIDR, ServiceCIDR: c.o.serviceCIDR,
		DNSIP: c.o.dnsIP, Domain: c.o.domain, APIServer: "https://" + c.me.ip + ":6443",
		Kubelet:   c.ca.issue("system:node:"+q.Name, []string{"system:nodes"}, q.Name, q.IP, "127.0.0.1", "localhost"),
		NodeTasks: c.ca.issue("system:kube-proxy", []string{"portcullis:node-tasks"}),
	}, nil
}

// controlPlaneArguments: "+program flag… +program flag…". Flags of the caller come last and win.
func (c *cluster) controlPlaneArguments() []string {
	var all []string
	for _, program := range []struct {
		name  string
		flags []string
	}{
		{"etcd", etcdFlags()},
		{"kube-apiserver", c.apiServerFlags()},
		{"kube-controller-manager", c.controllerManagerFlags()},
		{"kube-scheduler", clientFlags("kube-scheduler")},
	} {
		all = append(all, "+"+program.name)
		all = append(all, program.flags...)
		all = append(all, c.o.extra[program.name]...)
	}
	return all
}

func etcdFlags() []string {
	return []string{
		"--name=node",
		"--data-dir=" + stateDir + "/etcd",
		"--listen-client-urls=http://127.0.0.1:2379",
		"--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=node=http://127.0.0.1:2380",
		"--unsafe-no-fsync", // a throwaway cluster survives its processes, not its host
		"--log-level=warn",
	}
}

func (c *cluster) apiServerFlags() []string {
	issuer := "https://kubernetes.default.svc." + c.o.domain
	return []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--secure-port=6443",
		"--bind-address=0.0.0.0",
		"--advertise-address=" + c.me.ip,
		"--tls-cert-file=" + pkiDir + "/apiserver.crt",
		"--tls-private-key-file=" + pkiDir + "/apiserver.key",
		"--client-ca-file=" + pkiDir + "/ca.crt",
		"--kubelet-client-certificate=" + pkiDir + "/apiserver-kubelet.crt",
		"--kubelet-client-key=" + pkiDir + "/apiserver-kubelet.key",
		"--kubelet-certificate-authority=" + pkiDir + "/ca.crt",
		"--kubelet-preferred-address-types=InternalIP,Hostname",
		"--service-account-issuer=" + issuer,
		"--service-account-signing-key-file=" + pkiDir + "/sa.key",
		"--service-account-key-file=" + pkiDir + "/sa.pub",
		"--api-audiences=" + issuer + ",k3s",
		"--service-cluster-ip-range=" + c.o.serviceCIDR,
		"--allow-privileged=true",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--enable-bootstrap-token-auth=true",
		"--requestheader-client-ca-file=" + pkiDir + "/front-ca.crt",
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pkiDir + "/front.crt",
		"--proxy-client-key-file=" + pkiDir + "/front.key",
		"--enable-aggregator-routing=true",
		"--profiling=false",
	}
}

func (c *cluster) controllerManagerFlags() []string {
	return append(clientFlags("kube-controller-manager"),
		"--use-service-account-credentials",
		"--service-account-private-key-file="+pkiDir+"/sa.key",
		"--root-ca-file="+pkiDir+"/ca.crt",
		"--client-ca-file="+pkiDir+"/ca.crt",
		"--requestheader-client-ca-file="+pkiDir+"/front-ca.crt",
		"--cluster-signing-cert-file="+pkiDir+"/ca.crt",
		"--cluster-signing-key-file="+pkiDir+"/ca.key",
		"--service-cluster-ip-range="+c.o.serviceCIDR,
		"--allocate-node-cidrs=false", // the join does it, see podRanges
		"--controllers=*,bootstrapsigner,tokencleaner",
		"--flex-volume-plugin-dir="+stateDir+"/volumeplugins",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	)
}

func clientFlags(program string) []string {
	file := configDir + "/" + program + ".conf"
	return []string{
		"--kubeconfig=" + file,
		"--authentication-kubeconfig=" + file,
		"--authorization-kubeconfig=" + file,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
	}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// waitForAPI returns when the API server says that it is ready.
func waitForAPI(url string, config *tls.Config) {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
	for ; ; time.Sleep(100 * time.Millisecond) {
		answer, err := client.Get(url + "/readyz")
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return
		}
	}
}
