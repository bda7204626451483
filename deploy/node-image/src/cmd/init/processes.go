package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const logDir = "/var/log/node"

var (
	processLock sync.Mutex
	processes   = map[string]*os.Process{}
	stopping    bool
)

// keepRunning starts a program, and again whenever it ends. Its output goes to /var/log/node/NAME.log; our own standard output and
// error are its files 3 and 4, for milestones.
func keepRunning(path, name string, args ...string) {
	go func() {
		file := filepath.Join(logDir, name+".log")
		log := must(os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
		pause := time.Second
		for {
			begin := time.Now()
			err := runOnce(path, name, args, log)
			if isStopping() {
				return
			}
			if time.Since(begin) > time.Minute {
				pause = time.Second
			}
			say("%s ended (%v), starting it again; last lines of %s:", name, err, file)
			printTail(file)
			time.Sleep(pause)
			pause = min(2*pause, 8*time.Second)
		}
	}()
}

func runOnce(path, name string, args []string, log *os.File) error {
	c := &exec.Cmd{
		Path: path, Args: append([]string{name}, args...), Dir: "/", Env: os.Environ(),
		Stdout: log, Stderr: log, ExtraFiles: []*os.File{os.Stdout, os.Stderr},
	}
	if err := c.Start(); err != nil {
		return err
	}
	processLock.Lock()
	processes[name] = c.Process
	processLock.Unlock()
	return c.Wait()
}

func isStopping() bool {
	processLock.Lock()
	defer processLock.Unlock()
	return stopping
}

// terminateAll asks every program to end and gives them a moment; what is left goes with the container.
func terminateAll() {
	processLock.Lock()
	stopping = true
	for _, p := range processes {
		_ = p.Signal(syscall.SIGTERM)
	}
	processLock.Unlock()
	time.Sleep(300 * time.Millisecond)
}

// printTail prints the last four lines of a log, at most 1500 bytes.
func printTail(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > 1500 {
		_, _ = f.Seek(-1500, io.SeekEnd)
	}
	text, _ := io.ReadAll(f)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range lines[max(0, len(lines)-4):] {
		fmt.Println("    " + line)
	}
}
