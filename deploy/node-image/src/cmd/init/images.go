package main

import (
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"time"

	"golang.org/x/sys/unix"
)

const (
	bakedStore  = "/images/store" // containerd's root as it was after the imports at build time, without the packed layers
	containerd  = stateDir + "/containerd"
	snapshots   = "io.containerd.snapshotter.v1.overlayfs/snapshots"
	agentImages = "/var/lib/rancher/k3s/agent/images"
)

// preloadImages gives containerd its root with the images of the node image already in it. Only the databases and the small blobs
// (a few hundred kB) are copied; the unpacked snapshots stay in the node image and are bind-mounted, so nothing is imported.
func preloadImages() {
	layers, err := os.ReadDir(filepath.Join(bakedStore, snapshots))
	if err != nil {
		return // an image without preloaded images
	}
	if _, err := os.Stat(containerd); err != nil { // the first start of this container
		check(copyStore())
	}
	bind := canStackOverlays()
	for _, layer := range layers {
		from, to := filepath.Join(bakedStore, snapshots, layer.Name()), filepath.Join(containerd, snapshots, layer.Name())
		if _, err := os.Stat(to); err == nil && !bind {
			continue // copied at an earlier start
		}
		check(os.MkdirAll(to, 0o700))
		if bind {
			check(mount(from, to, "", unix.MS_BIND, ""))
		} else {
			check(run("cp", "-a", from+"/.", to))
		}
	}
	say("%d image layers preloaded (bind mounts: %v)", len(layers), bind)
}

// copyStore copies everything of the baked store but the snapshots.
func copyStore() error {
	return filepath.WalkDir(bakedStore, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative := must(filepath.Rel(bakedStore, path))
		target := filepath.Join(containerd, relative)
		if !entry.IsDir() {
			return copyFile(path, target)
		}
		if err := os.MkdirAll(target, 0o700); err != nil {
			return err
		}
		if relative == snapshots {
			return filepath.SkipDir
		}
		return nil
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// canStackOverlays tells whether a folder of the node image, itself on an overlay as a rule, can be the lower layer of a pod's overlay:
// the kernel stacks two, not three, so in a Docker that runs in a container the layers must be copied.
func canStackOverlays() bool {
	dir := filepath.Join(containerd, "overlay-test")
	defer os.RemoveAll(dir)
	for _, sub := range []string{"upper", "work", "merged"} {
		check(os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
	lower := filepath.Join(bakedStore, snapshots)
	err := unix.Mount("overlay", dir+"/merged", "overlay", 0, "lowerdir="+lower+",upperdir="+dir+"/upper,workdir="+dir+"/work")
	if err != nil {
		say("overlay over the node image: %v", err)
		return false
	}
	check(unix.Unmount(dir+"/merged", 0))
	return true
}

func waitForContainerd() {
	for ; ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("unix", containerdSocket)
		if err != nil {
			continue
		}
		_ = c.Close()
		if exec.Command("ctr", "--connect-timeout", "1s", "version").Run() == nil {
			return
		}
	}
}

// importImages imports the tars that were put where k3s looks for them, then leaves /run/images-done.
func importImages() {
	var tars []string
	for _, pattern := range []string{"/*.tar", "/*.tar.gz"} {
		tars = append(tars, must(filepath.Glob(agentImages+pattern))...)
	}
	sort.Strings(tars)
	for _, tar := range tars {
		begin := time.Now()
		if err := run("ctr", "-n", "k8s.io", "images", "import", tar); err != nil {
			say("image import: %v", err)
			continue
		}
		say("imported %s in %.1fs", filepath.Base(tar), time.Since(begin).Seconds())
	}
	check(os.WriteFile("/run/images-done", nil, 0o644))
	say("images imported")
}
