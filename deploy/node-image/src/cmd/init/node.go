package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
)

// startNode starts what every node has: kubelet when containerd answers, kube-proxy (and the node's tasks) when the API does.
func startNode(o *options, r *joinReply, me machine) {
	writeNodeCredentials(o.role, r)
	writeFile("/etc/cni/net.d/10-node.conflist", []byte(podNetwork(r.PodCIDR)), 0o644)
	addFirewallRules(r)
	writeFile(configDir+"/kubelet.yaml", []byte(kubeletConfig(r, podResolvConf())), 0o644)
	go func() {
		waitForContainerd()
		keepRunning(nodeProgram, "kubelet", kubeletFlags(o, me)...)
		importImages()
	}()
	go func() {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(r.CA)
		waitForAPI(r.APIServer, &tls.Config{RootCAs: pool, ServerName: "kubernetes"})
		keepRunning(nodeProgram, "kube-proxy-and-tasks", append([]string{
			"--kubeconfig=" + configDir + "/node-tasks.conf",
			"--hostname-override=" + me.name,
			"--proxy-mode=iptables",
			"--cluster-cidr=" + r.ClusterCIDR,
			"--metrics-bind-address=127.0.0.1:10249",
			// these sysctls are the host's, and a container cannot write them
			"--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-established=0s",
			"--conntrack-tcp-timeout-close-wait=0s",
		}, o.extra["kube-proxy"]...)...)
	}()
}

func writeNodeCredentials(role role, r *joinReply) {
	switch role {
	case roleServer: // has the authorities as files
	case roleAgent:
		writeFile(pkiDir+"/ca.crt", r.CA, 0o644)
		writeFile(pkiDir+"/front-ca.crt", r.FrontCA, 0o644)
	}
	r.Kubelet.write(pkiDir, "kubelet")
	writeFile(configDir+"/kubelet.conf", kubeconfig(r.APIServer, r.CA, r.Kubelet), 0o600)
	writeFile(configDir+"/node-tasks.conf", kubeconfig(r.APIServer, r.CA, r.NodeTasks), 0o600)
}

// podNetwork: a bridge. It does not masquerade, so that pods of other nodes see a pod's own address.
func podNetwork(podCIDR string) string {
	return fmt.Sprintf(`{"cniVersion":"0.4.0","name":"node","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"isDefaultGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","ranges":[[{"subnet":"%s"}]],"dataDir":"/run/cni/ipam"}},
 {"type":"portmap","capabilities":{"portMappings":true}}
]}
`, podCIDR)
}

// addFirewallRules: pods take the node's address towards the outside. What is still addressed to a Service after kube-proxy's rules has
// no port there and must not leave the node, for on some networks something answers it.
func addFirewallRules(r *joinReply) {
	comment := func(text string) []string { return []string{"-m", "comment", "--comment", "node: " + text} }
	for _, rule := range [][]string{
		append([]string{"-t", "nat", "-A", "POSTROUTING", "-s", r.ClusterCIDR, "!", "-d", r.ClusterCIDR, "-j", "MASQUERADE"}, comment("pods to the outside")...),
		append([]string{"-A", "FORWARD", "-d", r.ServiceCIDR, "-j", "REJECT"}, comment("no such Service port")...),
		append([]string{"-A", "OUTPUT", "-d", r.ServiceCIDR, "-j", "REJECT"}, comment("no such Service port")...),
	} {
		warn(run("iptables", append([]string{"-w"}, rule...)...))
	}
}

func kubeletConfig(r *joinReply, resolvConf string) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %[1]s/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: %[1]s/kubelet.crt
tlsPrivateKeyFile: %[1]s/kubelet.key
containerRuntimeEndpoint: unix://%[2]s
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDNS: ["%[3]s"]
clusterDomain: %[4]s
resolvConf: %[5]s
staticPodPath: %[6]s/manifests
volumePluginDir: %[7]s/volumeplugins
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: 1%%, nodefs.inodesFree: 1%%, imagefs.available: 1%%}
nodeStatusUpdateFrequency: 4s
syncFrequency: 10s
shutdownGracePeriod: 0s
`, pkiDir, containerdSocket, r.DNSIP, r.Domain, resolvConf, configDir, stateDir)
}

func kubeletFlags(o *options, me machine) []string {
	flags := []string{
		"--config=" + configDir + "/kubelet.yaml",
		"--kubeconfig=" + configDir + "/kubelet.conf",
		"--hostname-override=" + me.name,
		"--node-ip=" + me.ip,
		"--root-dir=/var/lib/kubelet",
		"--cert-dir=/var/lib/kubelet/pki",
	}
	var labels []string
	for _, label := range o.labels {
		// a kubelet may not give itself a role; the server's tasks label the server
		if !strings.HasPrefix(label, "node-role.kubernetes.io/") {
			labels = append(labels, label)
		}
	}
	if len(labels) > 0 {
		flags = append(flags, "--node-labels="+strings.Join(labels, ","))
	}
	if len(o.taints) > 0 {
		flags = append(flags, "--register-with-taints="+strings.Join(o.taints, ","))
	}
	return append(flags, o.extra["kubelet"]...)
}
