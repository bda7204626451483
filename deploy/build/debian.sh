# shellcheck shell=bash
# Files out of Debian 12 packages, without root and without touching the host: apt resolves and verifies, tar unpacks.
# Sourced by the image builds. No maintainer script is run, so what those would make (users, CA bundle) is made by the caller.

readonly DEBIAN_TRIPLE=x86_64-linux-gnu
readonly DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_apt_options DIR SOURCES...: prints, one a line, the options that make apt work in DIR alone, with these sources.
# A source is written without its mirror: "deb bookworm main". The mirror is the one this machine already uses.
debian_apt_options() {
    local dir=$1 source type rest mirror security
    shift
    [ -e "$DEBIAN_KEYRING" ] || {
        echo "missing $DEBIAN_KEYRING: install debian-archive-keyring" >&2
        return 1
    }
    mirror=$(debian_mirror /debian)
    security=$(debian_mirror /debian-security)
    mkdir -p "$dir"/{lists,cache/archives}/partial
    touch "$dir/status"
    for source; do
        type=${source%% *} rest=${source#* }
        case $rest in
            *-security*) echo "$type [signed-by=$DEBIAN_KEYRING] $security $rest" ;;
            *) echo "$type [signed-by=$DEBIAN_KEYRING] $mirror $rest" ;;
        esac
    done >"$dir/sources.list"
    printf -- '-o\n%s\n' \
        "Dir::Etc::sourcelist=$dir/sources.list" Dir::Etc::sourceparts=/dev/null \
        "Dir::State::lists=$dir/lists" "Dir::State::status=$dir/status" "Dir::Cache=$dir/cache" \
        APT::Sandbox::User=root APT::Get::List-Cleanup=false Acquire::Languages=none \
        Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
}

# debian_mirror PATH: the first configured repository that ends in PATH, else Debian's own.
debian_mirror() {
    local found
    # shellcheck disable=SC2016 # $(REPO_URI) is apt's own placeholder
    found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 -E "$1/?\$") || true
    echo "${found:-http://deb.debian.org$1}"
}

# debian_tree DIR PACKAGE...: unpacks the packages and all they depend on into DIR/root.
debian_tree() {
    local dir=$1 options deb
    shift
    mapfile -t options < <(debian_apt_options "$dir/apt" \
        'deb bookworm main' 'deb bookworm-updates main' 'deb bookworm-security main')
    [ "${#options[@]}" -gt 0 ]
    apt-get "${options[@]}" -q update
    apt-get "${options[@]}" -q -y --no-install-recommends --download-only install "$@"
    mkdir -p "$dir/root"/usr/{bin,sbin,lib,lib64}
    for deb in bin sbin lib lib64; do ln -sfn "usr/$deb" "$dir/root/$deb"; done
    for deb in "$dir"/apt/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -C "$dir/root"
    done
    rm -rf "$dir/apt"
}

# debian_copy TREE TARGET PATH...: copies files, and the libraries they load, from TREE to TARGET.
# Links are kept as links and followed; a missing file or library ends the build.
debian_copy() {
    local tree=$1 target=$2 path library
    shift 2
    for path; do
        debian_copy_one "$tree" "$target" "$path"
        while read -r library; do
            debian_copy_one "$tree" "$target" "$library"
        done < <(debian_libraries "$tree" "$path")
    done
}

debian_copy_one() {
    local tree=$1 target=$2 link real
    link=$(debian_canonical_dir "$tree" "$3")
    real=$(debian_real "$tree" "$link")
    if [ ! -e "$target$real" ]; then
        mkdir -p "$target$(dirname "$real")"
        cp -p "$tree$real" "$target$real"
    fi
    if [ "$link" != "$real" ] && [ ! -L "$target$link" ]; then
        mkdir -p "$target$(dirname "$link")"
        ln -s "$real" "$target$link"
    fi
}

# debian_canonical_dir TREE PATH: PATH with the links among its folders resolved (/bin/sh -> /usr/bin/sh), its last part as it is.
debian_canonical_dir() {
    local dir
    dir=$(cd "$1/$(dirname "$2")" && pwd -P)
    echo "${dir#"$1"}/$(basename "$2")"
}

# debian_real TREE PATH: the file at the end of PATH's chain of links, inside TREE.
debian_real() {
    local tree=$1 path=$2 next
    while [ -L "$tree$path" ]; do
        next=$(readlink "$tree$path")
        case $next in
            /*) ;;
            *) next=$(dirname "$path")/$next ;;
        esac
        path=$(debian_canonical_dir "$tree" "$next")
    done
    [ -f "$tree$path" ] || {
        echo "no file $2 in the Debian packages" >&2
        return 1
    }
    echo "$path"
}

# debian_libraries TREE PATH: the libraries that the tree's own loader finds for PATH, dependencies of dependencies included.
# Nothing for scripts and static programs.
debian_libraries() {
    local tree=$1 file out
    file=$tree$(debian_real "$tree" "$(debian_canonical_dir "$tree" "$2")")
    out=$("$tree"/usr/lib64/ld-linux-x86-64.so.2 --library-path "$tree/usr/lib/$DEBIAN_TRIPLE" --list "$file" 2>/dev/null) || return 0
    if grep -q 'not found' <<<"$out"; then
        echo "$2: $(grep 'not found' <<<"$out")" >&2
        return 1
    fi
    # "libc.so.6 => /tree/usr/lib/…/libc.so.6 (0x…)", and the loader itself without an arrow
    grep -o '/[^ ]*' <<<"$out" | sed "s#^$tree##" | sort -u
}
