#!/usr/bin/env bash
# programs.sh OUT: compiles the node's programs into the folder OUT, from the Go module proxy alone.
#   node       every Kubernetes program of a node in one binary (module src/)
#   node-init  the first program of the container (module src/)
#   coredns    the cluster's DNS (module src-coredns/, apart because it wants newer libraries than Kubernetes)
#   pause      what holds a pod's namespaces, from the C source in the Kubernetes module
# Needs go, gcc and static libc. About 15 minutes of CPU with cold caches, 10 seconds with warm ones.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
# shellcheck source=../build/go.sh
. "$here/../build/go.sh"
mkdir -p "$out"

cd "$here/src"
go build -ldflags "$(kubernetes_ldflags)" -o "$out/node" .
go build -ldflags '-s -w' -o "$out/node-init" ./cmd/init
kubernetes=$(go list -m -f '{{.Dir}}' k8s.io/kubernetes)
gcc -Os -Wall -Werror -static -s -DVERSION=3.10.1 -o "$out/pause" "$kubernetes/build/pause/linux/pause.c"

cd "$here/src-coredns"
go build -ldflags '-s -w' -o "$out/coredns" .
