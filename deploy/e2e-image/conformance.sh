#!/usr/bin/env bash
# conformance.sh PROGRAMS BUSYBOX TAG HASH OUT: the image of the upstream test programs, laid out like registry.k8s.io/conformance,
# as an archive for `docker load`. HASH goes into the label dev.portcullis.inputs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=$1 busybox=$2 tag=$3 hash=$4 out=$5
# shellcheck source=../build/archive.sh
. "$here/../build/archive.sh"
# shellcheck source=busybox-layer.sh
. "$here/busybox-layer.sh"
work=$(mktemp -d "$(dirname "$out")/conformance.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root blobs=$work/blobs

base=$(busybox_layer "$busybox" "$work" "$blobs")
mkdir -p "$root/usr/local/bin" "$root/kubernetes"
cp "$programs"/{ginkgo,e2e.test,kubectl} "$root/usr/local/bin/"
cp "$programs/go-runner" "$root/usr/local/bin/kubeconformance"
ln -s usr/local/bin/kubeconformance "$root/gorunner"
ln -s usr/local/bin/kubeconformance "$root/run_e2e.sh"
cp -r "$programs/cluster" "$root/kubernetes/cluster"
tests=$(archive_layer "$root" "$blobs")

archive_image "$blobs" "$tag" "$(
    cat <<JSON
{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","E2E_FOCUS=\\\\[Conformance\\\\]","E2E_SKIP=",
"E2E_PROVIDER=local","E2E_PARALLEL=1","E2E_VERBOSITY=4","RESULTS_DIR=/tmp/results","KUBECONFIG="],
"Entrypoint":["kubeconformance"],"Labels":{"dev.portcullis.inputs":"$hash"}}
JSON
)" "$base" "$tests"
archive_write "$blobs" "$out"
