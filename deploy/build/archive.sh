# shellcheck shell=bash
# Container images as `docker load` and `ctr images import` read them, written without an engine: layers are tars, the rest is JSON.
# Sourced by the image builds. Equal inputs give equal bytes, so layers are shared and hashes mean something.

# archive_layer ROOT BLOBS: packs the folder ROOT as a layer into the folder BLOBS and prints its digest (sha256, hex).
archive_layer() {
    local tmp digest
    mkdir -p "$2"
    tmp=$(mktemp "$2/tmp.XXXXXX")
    tar --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 --format=gnu -C "$1" -cf "$tmp" .
    digest=$(sha256sum "$tmp" | cut -d' ' -f1)
    mv "$tmp" "$2/$digest.tar"
    echo "$digest"
}

# archive_image BLOBS TAG CONFIG LAYER...: describes an image; CONFIG is the JSON of Docker's container configuration.
# Leaves BLOBS/<config digest>.json and one entry for the manifest in BLOBS/manifest/.
archive_image() {
    local blobs=$1 tag=$2 config=$3 layer diff_ids='' layers='' json digest
    shift 3
    for layer; do
        [ -s "$blobs/$layer.tar" ]
        diff_ids+="${diff_ids:+,}\"sha256:$layer\""
        layers+="${layers:+,}\"$layer.tar\""
    done
    json="{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"1970-01-01T00:00:00Z\",\"config\":$config,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[$diff_ids]}}"
    digest=$(printf %s "$json" | sha256sum | cut -d' ' -f1)
    printf %s "$json" >"$blobs/$digest.json"
    mkdir -p "$blobs/manifest"
    printf '{"Config":"%s.json","RepoTags":["%s"],"Layers":[%s]}' "$digest" "$tag" "$layers" >"$blobs/manifest/${tag//[\/:]/_}"
}

# archive_write BLOBS FILE: one archive with every image described so far and only the layers they use.
archive_write() {
    local blobs=$1 entry separator='' files
    {
        printf '['
        for entry in "$blobs"/manifest/*; do
            printf '%s' "$separator"
            cat "$entry"
            separator=,
        done
        printf ']'
    } >"$blobs/manifest.json"
    mapfile -t files < <(grep -oE '[0-9a-f]{64}\.(json|tar)' "$blobs/manifest.json" | sort -u)
    tar -C "$blobs" --mtime=@0 --numeric-owner --owner=0 --group=0 -cf "$2.tmp" manifest.json "${files[@]}"
    mv "$2.tmp" "$2"
}
