#!/usr/bin/env bash
# workloads.sh PROGRAMS BUSYBOX OUT: the images that pods of the 1.34 conformance specs run, under their upstream names,
# in one archive, OUT/images.tar.
# Names and tags are those of `e2e.test --list-images`; what is inside is upstream's own program, or Debian's package of the same
# server laid out as upstream's image has it. Needs apt.
#
#   busybox <- nonroot, nonewprivs, httpd, nginx, etcd, sample-apiserver
#   busybox <- jessie-dnsutils <- agnhost <- nautilus, kitten
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=$1 busybox=$2 out=$3/images.tar
# shellcheck source=../build/debian.sh
. "$here/../build/debian.sh"
# shellcheck source=../build/archive.sh
. "$here/../build/archive.sh"
# shellcheck source=busybox-layer.sh
. "$here/busybox-layer.sh"
work=$(mktemp -d "$(dirname "$out")/workloads.XXXXXX")
trap 'rm -rf "$work"' EXIT
blobs=$work/blobs tree=$work/debian/root
e2e=registry.k8s.io/e2e-test-images
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# image TAG CONFIG LAYER...: CONFIG without the braces and without PATH
image() {
    local tag=$1 config=$2
    shift 2
    case $config in
        *'"Env"'*) ;;
        *) config="\"Env\":[\"PATH=$path\"]${config:+,$config}" ;;
    esac
    archive_image "$blobs" "$tag" "{$config}" "$@"
}

# small NAME FILE TARGET: a layer with one program; prints its digest
small() {
    mkdir -p "$work/$1$(dirname "$3")"
    cp -p "$2" "$work/$1$3"
    archive_layer "$work/$1" "$blobs"
}

busybox_images() {
    local layer
    image "$e2e/busybox:1.37.0-1" '"Cmd":["sh"]' "$base"
    image "$e2e/nonroot:1.4" '"User":"1234","Cmd":["sh"]' "$base"
    chmod 6755 "$programs/nonewprivs" # the spec is about what setuid may do
    layer=$(small nonewprivs "$programs/nonewprivs" /usr/local/bin/nnp)
    image "$e2e/nonewprivs:1.3" '"Cmd":["nnp"]' "$base" "$layer"
    layer=$(small etcd "$programs/etcd" /usr/local/bin/etcd)
    image registry.k8s.io/etcd:3.6.4-0 '"WorkingDir":"/","ExposedPorts":{"2379/tcp":{},"2380/tcp":{},"4001/tcp":{},"7001/tcp":{}}' "$base" "$layer"
    layer=$(small sample-apiserver "$programs/sample-apiserver" /sample-apiserver)
    image "$e2e/sample-apiserver:1.29.2" '"Entrypoint":["/sample-apiserver"]' "$base" "$layer"
}

# Apache of Debian in the places of the public httpd image. Two versions are named by the specs; they differ in a variable only.
httpd_images() {
    local root=$work/httpd prefix=/usr/local/apache2 module layer version
    mkdir -p "$root$prefix"/{bin,conf,htdocs,logs,modules,cgi-bin}
    debian_copy "$tree" "$root" /usr/sbin/apache2 "/lib/$DEBIAN_TRIPLE/libgcc_s.so.1"
    mv "$root/usr/sbin/apache2" "$root$prefix/bin/httpd"
    while read -r module; do
        debian_copy "$tree" "$root" "/usr/lib/apache2/modules/$module"
        mv "$root/usr/lib/apache2/modules/$module" "$root$prefix/modules/"
    done < <(awk '$1 == "LoadModule" { sub(".*/", "", $3); print $3 }' "$here/files/httpd/httpd.conf")
    rm -r "$root/usr/lib/apache2" "$root/usr/sbin"
    cp "$here/files/httpd/httpd.conf" "$root$prefix/conf/"
    cp "$tree/etc/mime.types" "$root$prefix/conf/"
    cp "$here/files/httpd/index.html" "$root$prefix/htdocs/"
    install -m 755 "$here/files/httpd/httpd-foreground" "$root$prefix/bin/"
    layer=$(archive_layer "$root" "$blobs")
    for version in 2.4.38 2.4.39; do
        image "$e2e/httpd:$version-4" "\"Env\":[\"PATH=$prefix/bin:$path\",\"HTTPD_PREFIX=$prefix\",\"HTTPD_VERSION=$version\"],
            \"WorkingDir\":\"$prefix\",\"ExposedPorts\":{\"80/tcp\":{}},\"StopSignal\":\"SIGWINCH\",\"Cmd\":[\"httpd-foreground\"]" "$base" "$layer"
    done
}

nginx_images() {
    local root=$work/nginx layer version
    mkdir -p "$root"/{etc/nginx,usr/share/nginx,var/log/nginx,var/lib/nginx,var/cache/nginx,run}
    debian_copy "$tree" "$root" /usr/sbin/nginx "/lib/$DEBIAN_TRIPLE/libgcc_s.so.1"
    cp -r "$here/files/nginx/." "$root/etc/nginx/"
    mv "$root/etc/nginx/html" "$root/usr/share/nginx/html"
    cp "$tree/etc/nginx/mime.types" "$root/etc/nginx/"
    ln -s /dev/stdout "$root/var/log/nginx/access.log"
    ln -s /dev/stderr "$root/var/log/nginx/error.log"
    layer=$(archive_layer "$root" "$blobs")
    for version in 1.14 1.15; do
        image "$e2e/nginx:$version-4" "\"Env\":[\"PATH=$path\",\"NGINX_VERSION=$version\"],
            \"ExposedPorts\":{\"80/tcp\":{}},\"StopSignal\":\"SIGTERM\",\"Cmd\":[\"nginx\",\"-g\",\"daemon off;\"]" "$base" "$layer"
    done
}

# agnhost answers for most of the network specs; it wants curl, dig, nc, ip, iperf beside it, which is what jessie-dnsutils is here.
agnhost_images() {
    local root=$work/dnsutils tools agnhost name layer
    mkdir -p "$root"/{bin,usr/bin,usr/local/bin,uploads,etc/ssl/certs}
    cp "$tree/bin/bash-static" "$root/bin/bash"
    debian_copy "$tree" "$root" "/lib/$DEBIAN_TRIPLE/libgcc_s.so.1" /usr/bin/curl /usr/bin/dig /usr/bin/nslookup /usr/bin/host \
        /bin/nc.openbsd /bin/ip /usr/bin/ss /usr/bin/getent /usr/bin/iperf
    ln -s nc.openbsd "$root/usr/bin/nc"
    ln -s /usr/bin/iperf "$root/usr/local/bin/iperf"
    find "$tree/usr/share/ca-certificates" -name '*.crt' -print0 | sort -z | xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"
    cp "$tree"/etc/{services,protocols} "$root/etc/"
    tools=$(archive_layer "$root" "$blobs")
    image "$e2e/jessie-dnsutils:1.7" '"Cmd":["/bin/bash"]' "$base" "$tools"

    root=$work/agnhost
    mkdir -p "$root/etc" "$root/home/user-defined-in-image"
    cp "$programs/agnhost" "$programs"/images/localhost.{crt,key} "$root/"
    ln -s agnhost "$root/agnhost-2"
    { cat "$work/busybox/etc/passwd"; echo 'user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh'; } >"$root/etc/passwd"
    {
        cat "$work/busybox/etc/group"
        echo 'user-defined-in-image:x:1000:'
        echo 'group-defined-in-image:x:50000:user-defined-in-image'
    } >"$root/etc/group"
    chmod 777 "$root/home/user-defined-in-image"
    agnhost=$(archive_layer "$root" "$blobs")
    name='"ExposedPorts":{"80/tcp":{},"8080/tcp":{},"8081/tcp":{},"9376/tcp":{},"5000/tcp":{}},"Entrypoint":["/agnhost"]'
    image "$e2e/agnhost:2.56" "$name,\"Cmd\":[\"pause\"]" "$base" "$tools" "$agnhost"
    local picture
    for picture in nautilus kitten; do
        layer=$(archive_layer "$programs/images/$picture" "$blobs")
        image "$e2e/$picture:1.7" "$name,\"Cmd\":[\"test-webserver\"]" "$base" "$tools" "$agnhost" "$layer"
    done
}

debian_tree "$work/debian" apache2-bin nginx-light media-types curl bind9-dnsutils bind9-host netcat-openbsd iproute2 iperf \
    bash-static libc-bin netbase ca-certificates
base=$(busybox_layer "$busybox" "$work" "$blobs")
busybox_images
httpd_images
nginx_images
agnhost_images
archive_write "$blobs" "$out"
