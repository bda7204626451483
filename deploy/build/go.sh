# shellcheck shell=bash
# How every Go program of the images is compiled. The settings are part of the build cache's key: a `go` command without
# them (`go vet` too) compiles all of Kubernetes once more, ten minutes of CPU.

readonly KUBERNETES_VERSION=1.34.4

export CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false'
# A Go that is older than go.mod asks for fetches the right one from the module proxy, where its default allows that.
[ "$(go env GOTOOLCHAIN 2>/dev/null)" = local ] || export GOTOOLCHAIN=auto

# kubernetes_ldflags: no symbol tables, and the version that the API server answers and conformance compares.
kubernetes_ldflags() {
    local package flags='-s -w' minor=${KUBERNETES_VERSION#*.}
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $package.gitVersion=v$KUBERNETES_VERSION -X $package.gitMajor=${KUBERNETES_VERSION%%.*} -X $package.gitMinor=${minor%%.*}"
        flags+=" -X $package.gitTreeState=archive -X $package.buildDate=2026-02-10T19:32:20Z"
    done
    echo "$flags"
}
