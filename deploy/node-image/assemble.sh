#!/usr/bin/env bash
# assemble.sh PROGRAMS IMAGES TAG HASH OUT: makes the node image of Debian's files and our programs, as an archive for `docker load`.
#   PROGRAMS  the folder that programs.sh filled
#   IMAGES    an archive of further images to have on every node from the start
#   TAG OUT   the image's name and the archive to write
#   HASH      goes into the label dev.portcullis.inputs
# Needs apt (any Debian or Ubuntu) and a Docker engine for the one step that unpacks the images.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=$1 images=$2 tag=$3 hash=$4 out=$5
# shellcheck source=../build/debian.sh
. "$here/../build/debian.sh"
# shellcheck source=../build/archive.sh
. "$here/../build/archive.sh"

# Where a file below is from; what these depend on comes along, but only the files named go into the image.
packages=(
    containerd runc containernetworking-plugins tini iptables nftables conntrack ethtool socat iproute2 kmod
    mount util-linux e2fsprogs procps coreutils bash dash findutils mawk sed grep tar gzip hostname
    libc-bin base-passwd netbase ca-certificates
)
files=(
    # a node: containerd and what it, kubelet, kube-proxy and the init call
    /usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/bin/ctr /usr/sbin/runc /usr/bin/tini
    /usr/lib/cni/bridge /usr/lib/cni/host-local /usr/lib/cni/loopback /usr/lib/cni/portmap
    /usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi /usr/sbin/nft /usr/sbin/conntrack /sbin/ip /sbin/bridge
    /bin/mount /bin/umount /bin/findmnt /usr/sbin/losetup /sbin/mkfs.ext4 /sbin/blkid /bin/kmod /sbin/modprobe /bin/cp
    # who looks into a node with `docker exec`, and conformance specs that do
    /bin/sh /bin/bash /usr/bin/nsenter /usr/sbin/ethtool /usr/bin/socat /bin/ps /bin/kill /bin/mountpoint
    /usr/bin/find /usr/bin/mawk /bin/sed /bin/grep /bin/tar /bin/gzip /bin/hostname /usr/bin/getent
    /bin/cat /bin/ls /bin/mv /bin/rm /bin/rmdir /bin/mkdir /bin/ln /bin/chmod /bin/chown /bin/touch /bin/mknod /bin/readlink
    /bin/sleep /bin/date /bin/df /usr/bin/du /usr/bin/stat /bin/uname /usr/bin/id /usr/bin/env /usr/bin/timeout
    /usr/bin/cut /usr/bin/tr /usr/bin/head /usr/bin/tail /usr/bin/sort /usr/bin/uniq /usr/bin/wc /usr/bin/tee /usr/bin/seq
    /usr/bin/base64 /usr/bin/basename /usr/bin/dirname /usr/bin/test /bin/echo /bin/true /bin/false
)

work=$(mktemp -d "$(dirname "$out")/node-image.XXXXXX")
base_tag=portcullis/node-base:build
finish() {
    rm -rf "$work"
    docker rmi "$base_tag" >/dev/null 2>&1 || true
}
trap finish EXIT
root=$work/root blobs=$work/blobs tree=$work/debian/root

root_file_system() {
    debian_tree "$work/debian" "${packages[@]}"
    mkdir -p "$root"/{etc/ssl/certs,proc,sys,dev,run,tmp,root,var/lib,var/log,images,opt/cni,usr/bin,usr/sbin,usr/lib,usr/lib64,usr/local/bin}
    mkdir -p "$root/var/lib/rancher/k3s/agent/images"
    chmod 1777 "$root/tmp"
    local name
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
    ln -s ../run "$root/var/run"
    ln -s /usr/lib/cni "$root/opt/cni/bin"
    debian_copy "$tree" "$root" "${files[@]}"
    cp -a "$tree/usr/lib/$DEBIAN_TRIPLE/xtables" "$root/usr/lib/$DEBIAN_TRIPLE/" # the matches and targets iptables loads
    for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -s xtables-nft-multi "$root/usr/sbin/$name"
    done
    ln -s mawk "$root/usr/bin/awk"
    cp "$tree/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
    cp "$tree/usr/share/base-passwd/group.master" "$root/etc/group"
    cp "$tree"/etc/{protocols,services,ethertypes} "$root/etc/"
    cp "$tree/usr/lib/os-release" "$root/etc/os-release"
    find "$tree/usr/share/ca-certificates" -name '*.crt' -print0 | sort -z | xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"
    cp -a "$here/files/." "$root/"
    cp "$programs/node" "$programs/node-init" "$root/usr/local/bin/"
    ln -s node "$root/usr/local/bin/kubectl"
    ln -s node "$root/usr/local/bin/k3s" # `docker exec NODE k3s kubectl …`
}

# The two images a node cannot be without.
system_images() {
    local layer name=registry.k8s.io/pause:3.10.1
    mkdir -p "$work/pause" "$work/coredns"
    cp "$programs/pause" "$work/pause/"
    layer=$(archive_layer "$work/pause" "$work/system")
    archive_image "$work/system" "$name" '{"User":"65535:65535","Entrypoint":["/pause"]}' "$layer"
    cp "$programs/coredns" "$work/coredns/"
    layer=$(archive_layer "$work/coredns" "$work/system")
    archive_image "$work/system" portcullis.dev/coredns:v1.12.4 '{"Entrypoint":["/coredns"]}' "$layer"
    mkdir -p "$work/tars"
    archive_write "$work/system" "$work/tars/0-system.tar"
    ln "$images" "$work/tars/1-workloads.tar" 2>/dev/null || cp "$images" "$work/tars/1-workloads.tar"
}

# unpack BASE_LAYER: prints the digest of the layer that holds the unpacked images
unpack() {
    local digest
    archive_image "$blobs" "$base_tag" "$(configuration)" "$1"
    archive_write "$blobs" "$work/base.tar"
    rm -r "$blobs/manifest"
    docker load -q -i "$work/base.tar" >&2
    rm "$work/base.tar"
    docker run --rm --cap-add ALL --cap-drop SYS_RESOURCE --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
        --network none -v "$work/tars:/tars:ro" -v "$here/unpack-images.sh:/unpack-images.sh:ro" -v /var/lib/node \
        --entrypoint /bin/bash "$base_tag" /unpack-images.sh >"$work/store.tar"
    digest=$(sha256sum "$work/store.tar" | cut -d' ' -f1)
    mv "$work/store.tar" "$blobs/$digest.tar"
    echo "$digest"
}

configuration() {
    cat <<JSON
{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","container=docker"],
"Entrypoint":["/usr/bin/tini","--","/usr/local/bin/node-init"],"StopSignal":"SIGTERM","ExposedPorts":{"6443/tcp":{}},
"Volumes":{"/var/lib/node":{},"/var/lib/kubelet":{},"/var/log":{},"/var/lib/rancher/k3s/storage":{}},
"Labels":{"dev.portcullis.inputs":"$hash"}}
JSON
}

root_file_system
system_images
base=$(archive_layer "$root" "$blobs")
rm -rf "$root" "$work/debian"
store=$(unpack "$base")
archive_image "$blobs" "$tag" "$(configuration)" "$base" "$store"
archive_write "$blobs" "$out"
