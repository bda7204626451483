#!/usr/bin/env bash
# programs.sh OUT: compiles the upstream test programs and the workloads' programs into the folder OUT, from the Go module proxy alone.
# Run it after the node's programs.sh: both modules name the same versions, so Go compiles what they share once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
# shellcheck source=../build/go.sh
. "$here/../build/go.sh"
mkdir -p "$out"
cd "$here/src"

programs=(
    github.com/onsi/ginkgo/v2/ginkgo
    k8s.io/kubernetes/test/conformance/image/go-runner
    k8s.io/kubernetes/cmd/kubectl
    k8s.io/kubernetes/test/images/agnhost
    k8s.io/kubernetes/test/images/nonewprivs
    k8s.io/sample-apiserver
    go.etcd.io/etcd/server/v3
)
flags=$(kubernetes_ldflags)
go build -ldflags "$flags" -o "$out/" "${programs[@]}"
mv "$out/server" "$out/etcd"

# Failures name source files; upstream writes them without the module's version.
kubernetes=$(go list -m -f '{{.Dir}}' k8s.io/kubernetes)
go test -c -ldflags "$flags" -gcflags "k8s.io/kubernetes/test/...=-trimpath=$kubernetes=>k8s.io/kubernetes" \
    -o "$out/e2e.test" k8s.io/kubernetes/test/e2e

# Files of the Kubernetes module that the images carry.
rm -rf "$out/cluster" "$out/images"
cp -r --no-preserve=mode "$kubernetes/cluster" "$out/cluster"
mkdir "$out/images"
cp --no-preserve=mode "$kubernetes"/test/images/agnhost/porter/localhost.{crt,key} "$out/images/"
for name in nautilus kitten; do
    mkdir "$out/images/$name"
    cp --no-preserve=mode "$kubernetes/test/images/$name/html/$name.jpg" "$kubernetes/test/images/$name/html/data.json" "$out/images/$name/"
done
