package main

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const cgroupDir = "/sys/fs/cgroup"

// mountCgroups replaces Docker's view of the cgroups by one whose root is this container.
func mountCgroups() {
	_, err := os.Stat(cgroupDir + "/cgroup.controllers")
	check(unix.Unmount(cgroupDir, unix.MNT_DETACH))
	if err == nil {
		mountCgroup2()
	} else {
		mountCgroup1()
	}
}

func mountCgroup1() {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	check(mount("tmpfs", cgroupDir, "tmpfs", 0, "mode=755"))
	for _, line := range strings.Split(strings.TrimSpace(string(must(os.ReadFile("/proc/self/cgroup")))), "\n") {
		fields := strings.SplitN(line, ":", 3) // number:controllers:path
		if len(fields) < 3 || fields[1] == "" {
			continue
		}
		name := strings.TrimPrefix(fields[1], "name=")
		dir := filepath.Join(cgroupDir, name)
		check(os.MkdirAll(dir, 0o755))
		if err := mount("cgroup", dir, "cgroup", flags, fields[1]); err != nil {
			warn(err)
			_ = os.Remove(dir)
			continue
		}
		if controllers := strings.Split(name, ","); len(controllers) > 1 {
			for _, c := range controllers {
				_ = os.Symlink(name, filepath.Join(cgroupDir, c))
			}
		}
	}
}

// mountCgroup2: a cgroup with processes cannot hand controllers down, so the processes leave the root.
func mountCgroup2() {
	check(mount("cgroup2", cgroupDir, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
	check(os.MkdirAll(cgroupDir+"/init", 0o755))
	for range 10 { // processes may be born meanwhile
		pids := strings.Fields(string(must(os.ReadFile(cgroupDir + "/cgroup.procs"))))
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			_ = os.WriteFile(cgroupDir+"/init/cgroup.procs", []byte(pid), 0o644) // it may have ended
		}
	}
	for _, controller := range strings.Fields(string(must(os.ReadFile(cgroupDir + "/cgroup.controllers")))) {
		warn(os.WriteFile(cgroupDir+"/cgroup.subtree_control", []byte("+"+controller), 0o644))
	}
}
