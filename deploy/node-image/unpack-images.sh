#!/usr/bin/env bash
# unpack-images.sh: runs inside the node image while it is being built. Imports the image tars of /tars with the node's own
# containerd and writes, as a tar on standard output, the store that a node starts with: databases, manifests, configurations and
# unpacked snapshots. The packed layers are dropped, nothing needs them any more.
set -euo pipefail
ctr() { command ctr -n k8s.io "$@" >&2; }

containerd >/tmp/containerd.log 2>&1 &
containerd=$!
for _ in $(seq 100); do
    ctr version >/dev/null 2>&1 && break
    sleep 0.1
done
for tar in /tars/*.tar; do
    ctr images import "$tar" || {
        tail -20 /tmp/containerd.log >&2
        exit 1
    }
done
for digest in $(command ctr -n k8s.io content ls -q); do
    # manifests and configurations are JSON, layers are not
    first=$(command ctr -n k8s.io content get "$digest" 2>/dev/null | head -c 1 | tr -d '\0') || true
    [ "$first" = '{' ] || ctr content rm "$digest"
done
sleep 1 # the removals are collected in the background
kill "$containerd"
wait "$containerd" || true

cd /var/lib/node/containerd
store=(io.containerd.metadata.v1.bolt io.containerd.content.v1.content io.containerd.snapshotter.v1.overlayfs)
# A snapshot is read through a bind mount of the image's own layer, where a whiteout would already have done its work and vanished.
whiteouts=$(find "${store[@]}" -type c)
[ -z "$whiteouts" ] || {
    printf 'an image removes files of a lower layer, which cannot be preloaded:\n%s\n' "$whiteouts" >&2
    exit 1
}
tar --exclude='*/ingest' --transform='s,^,images/store/,S' -c "${store[@]}"
