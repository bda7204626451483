# shellcheck shell=bash
# The layer that every workload image and the conformance image start from: busybox, its applets, users and folders. Sourced.

# busybox_layer BUSYBOX WORK BLOBS: prints the layer's digest
busybox_layer() {
    local root=$2/busybox applet
    mkdir -p "$root"/{bin,sbin,etc,root,home,tmp,dev,proc,sys,run,mnt,srv,usr/bin,usr/sbin,usr/lib,usr/lib64,var/spool/mail,var/run,var/log}
    ln -s usr/lib "$root/lib"
    ln -s usr/lib64 "$root/lib64"
    chmod 1777 "$root/tmp"
    chmod 700 "$root/root"
    cp "$1" "$root/bin/busybox"
    for applet in $("$1" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    cat >"$root/etc/passwd" <<'PASSWD'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
PASSWD
    cat >"$root/etc/group" <<'GROUP'
root:x:0:
daemon:x:1:
bin:x:2:
www-data:x:33:
nobody:x:65534:
nogroup:x:65533:
GROUP
    echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
    archive_layer "$root" "$3"
}
