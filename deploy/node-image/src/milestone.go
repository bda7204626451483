package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Files that the init gives every program: its own standard output and error, which are the container's log.
const (
	containerOutput = 3
	containerErrors = 4
)

// milestone writes a line to the container's log.
func milestone(format string, args ...any) { milestoneTo(containerOutput, format, args...) }

func milestoneTo(file int, format string, args ...any) {
	line := fmt.Sprintf(format, args...) + "\n"
	start, err := strconv.ParseInt(os.Getenv("NODE_T0"), 10, 64)
	if err != nil { // not started by the init: files 3 and 4 may be anything
		_, _ = os.Stdout.WriteString(line)
		return
	}
	line = fmt.Sprintf("[%6.2fs] %s", time.Since(time.Unix(0, start)).Seconds(), line)
	// Not an os.File: its finalizer would close the descriptor, and the next line would go into whatever connection has the number then.
	_, _ = syscall.Write(file, []byte(line))
}
