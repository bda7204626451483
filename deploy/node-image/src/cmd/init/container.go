package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// flags that a container needs where Docker refuses --privileged
const narrowFlags = "--cap-add ALL --cap-drop SYS_RESOURCE --security-opt seccomp=unconfined --security-opt apparmor=unconfined " +
	"--security-opt systempaths=unconfined --device-cgroup-rule 'a *:* rwm'"

// inNamespace marks the second run of this program, the one in its own cgroup namespace. Its value is the first run's start.
const inNamespace = "NODE_STARTED"

// prepareContainer makes of a container what a node needs: shared mounts, devices, cgroup hierarchies of its own, sysctls. The program
// executes itself once on the way, because a process sees its new cgroup namespace in /proc only from then on.
func prepareContainer() {
	if os.Getenv(inNamespace) == "" {
		prepareMounts()
		makeDevices()
		runtime.LockOSThread()
		warn(os.NewSyscallError("unshare cgroup", unix.Unshare(unix.CLONE_NEWCGROUP)))
		check(os.Setenv(inNamespace, fmt.Sprint(started.UnixNano())))
		check(syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
	}
	var begin int64
	_, err := fmt.Sscan(os.Getenv(inNamespace), &begin)
	check(err)
	started = time.Unix(0, begin)
	check(os.Unsetenv(inNamespace))

	mountCgroups()
	coverHostSysctls()
	warn(os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644))              // of the network namespace, ours
	_ = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0o644) // where the module is loaded
	configureContainerd()
	chooseIptables()
	if id, _ := os.ReadFile("/etc/machine-id"); len(id) < 32 {
		uuid := must(os.ReadFile("/proc/sys/kernel/random/uuid"))
		writeFile("/etc/machine-id", []byte(strings.ReplaceAll(string(uuid), "-", "")), 0o444)
	}
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, target, err)
	}
	return nil
}

func isMount(path string) bool {
	for _, line := range strings.Split(string(must(os.ReadFile("/proc/self/mountinfo"))), "\n") {
		if f := strings.Fields(line); len(f) > 4 && f[4] == path {
			return true
		}
	}
	return false
}

// prepareMounts: volumes of pods must propagate, /run is memory, and /sys is writable as --privileged would have made it.
func prepareMounts() {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		die("%v: start this container with --privileged, or where Docker refuses that with %s", err, narrowFlags)
	}
	if !isMount("/run") {
		check(mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"))
	}
	warn(mount("", "/sys", "", unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
}

func makeDevices() {
	for _, d := range []struct {
		path         string
		mode         uint32
		major, minor uint32
	}{
		{"/dev/kmsg", 0o644, 1, 11}, // kubelet watches the kernel's log for out-of-memory kills
		{"/dev/fuse", 0o666, 10, 229},
		{"/dev/loop-control", 0o660, 10, 237},
	} {
		if _, err := os.Stat(d.path); err != nil {
			warn(os.NewSyscallError("mknod "+d.path, unix.Mknod(d.path, unix.S_IFCHR|d.mode, int(unix.Mkdev(d.major, d.minor)))))
		}
	}
}

// coverHostSysctls: kubelet writes these, and they are the HOST's. Plain files that already say what it wants lie over them.
func coverHostSysctls() {
	check(os.MkdirAll("/run/sysctl", 0o755))
	for name, value := range map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	} {
		path := "/proc/sys/" + name
		if _, err := os.Stat(path); err != nil {
			continue
		}
		cover := "/run/sysctl/" + strings.ReplaceAll(name, "/", ".")
		check(os.WriteFile(cover, []byte(value+"\n"), 0o644))
		warn(mount(cover, path, "", unix.MS_BIND, ""))
	}
}

// configureContainerd: without CAP_SYS_RESOURCE nobody here may lower an oom_score_adj, and containerd must not try for its pods.
func configureContainerd() {
	const score, file, setting = "/proc/self/oom_score_adj", "/etc/containerd/config.toml", "restrict_oom_score_adj = "
	before := must(os.ReadFile(score))
	allowed := os.WriteFile(score, []byte("-999"), 0o644) == nil
	_ = os.WriteFile(score, before, 0o644)
	text := strings.ReplaceAll(string(must(os.ReadFile(file))), setting+"false", setting+"true")
	if allowed {
		text = strings.ReplaceAll(text, setting+"true", setting+"false")
	}
	check(os.WriteFile(file, []byte(text), 0o644))
}

// chooseIptables: the image's iptables speak nftables; on a kernel without it the legacy programs take their names.
func chooseIptables() {
	if run("iptables", "-w", "-t", "nat", "-S") == nil {
		return
	}
	say("no nftables in this kernel: legacy iptables")
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		path := "/usr/sbin/" + name
		check(os.Remove(path))
		check(os.Symlink("xtables-legacy-multi", path))
	}
}

// ownIPv4 is the node's address: eth0's, else that of the first interface which is neither loopback nor a pod's.
func ownIPv4() string {
	interfaces := must(net.Interfaces())
	for _, only := range []string{"eth0", ""} {
		for _, i := range interfaces {
			pods := strings.HasPrefix(i.Name, "cni") || strings.HasPrefix(i.Name, "veth")
			if i.Flags&net.FlagLoopback != 0 || pods || (only != "" && i.Name != only) {
				continue
			}
			addresses, _ := i.Addrs()
			for _, a := range addresses {
				if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
					return n.IP.String()
				}
			}
		}
	}
	die("no IPv4 address: the node needs a Docker network")
	return ""
}
