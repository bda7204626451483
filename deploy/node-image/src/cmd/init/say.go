package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

var (
	started = time.Now()
	sayLock sync.Mutex
)

// say writes a milestone to the container's log.
func say(format string, args ...any) {
	sayLock.Lock()
	defer sayLock.Unlock()
	fmt.Printf("[%6.2fs] %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
}

// die ends the container: for what its operator must change.
func die(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "node: "+format+"\n", args...)
	os.Exit(2)
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		die("%v", err)
	}
}

// warn tells of something that a node can often do without.
func warn(err error) {
	if err != nil {
		say("warning: %v", err)
	}
}

// writeFile replaces a file at once or not at all.
func writeFile(path string, data []byte, mode os.FileMode) {
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	unfinished := path + ".tmp"
	check(os.WriteFile(unfinished, data, mode))
	check(os.Rename(unfinished, path))
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
