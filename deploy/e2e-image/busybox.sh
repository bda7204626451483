#!/usr/bin/env bash
# busybox.sh OUT: compiles busybox 1.37.0 into the folder OUT as the public busybox image (glibc variant) has it: upstream source,
# default configuration, static. Debian's own binary will not do: its ash drops variables whose names are no identifiers (data-1),
# which Kubernetes allows and conformance checks. Needs apt, gcc, static libc, make, bzip2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
# shellcheck source=../build/debian.sh
. "$here/../build/debian.sh"
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/busybox.XXXXXX")
trap 'rm -rf "$work"' EXIT

mapfile -t options < <(debian_apt_options "$work/apt" 'deb-src trixie main')
[ "${#options[@]}" -gt 0 ]
cd "$work"
apt-get "${options[@]}" -q update
apt-get "${options[@]}" -q source --download-only busybox
tar xf busybox_1.37.0.orig.tar.bz2 # the source as upstream released it; Debian's patches are a file of their own
cd busybox-1.37.0

configure() {
    sed -i -E "/^(# )?CONFIG_$1[ =]/d" .config
    echo "CONFIG_$1=$2" >>.config
}
make defconfig
configure STATIC y
configure LAST_SUPPORTED_WCHAR 0 # any Unicode character may be printed
configure AR y
configure FEATURE_AR_CREATE y
configure FEATURE_AR_LONG_FILENAMES y
for option in TC FEATURE_TC_INGRESS SHA1_HWACCEL SHA256_HWACCEL; do # do not compile with current kernel headers and compilers
    configure "$option" n
done
yes '' | make oldconfig || [ "${PIPESTATUS[1]}" = 0 ]
make "-j$(nproc)" busybox
cp busybox "$out/busybox"
