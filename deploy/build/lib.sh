# shellcheck shell=bash
# What the commands of this folder share: where things are kept, how they speak, how a long step shows that it lives. Sourced.
# shellcheck disable=SC2034 # the variables are for those who source this
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/portcullis
mkdir -p "$cache"

say() { printf '%s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "root is needed for: $* (and there is no sudo)"
    fi
}

# step TEXT LOG COMMAND...: runs COMMAND with its output in LOG and one line about it on standard error: a running clock on a
# terminal, a sign of life every 30 seconds elsewhere. When it fails, the end of LOG is shown and the script ends.
step() {
    local text=$1 log=$2 begin=$SECONDS shown=0 pid
    shift 2
    ("$@") >"$log" 2>&1 9>&- &
    pid=$!
    [ -t 2 ] || say "  $text ..."
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if [ -t 2 ]; then
            printf '\r  %s ... %s ' "$text" "$(clock $((SECONDS - begin)))" >&2
        elif [ $((SECONDS - begin - shown)) -ge 30 ]; then
            shown=$((SECONDS - begin))
            say "  $text ... $(clock "$shown")"
        fi
    done
    if wait "$pid"; then
        [ ! -t 2 ] || printf '\r\033[K' >&2
        say "  $text: $(clock $((SECONDS - begin)))"
    else
        [ ! -t 2 ] || printf '\n' >&2
        tail -n 20 "$log" | sed 's/^/    /' >&2
        die "$text failed; everything it said is in $log"
    fi
}

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# version_at_least HAVE WANT
version_at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -1)" = "$2" ]; }
