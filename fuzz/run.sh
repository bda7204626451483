#!/usr/bin/env bash
# run.sh [SECONDS [TARGET...]]: each fuzz target for so many seconds (60), one after the other, from the recorded reports as seeds.
# Needs a nightly toolchain for the address sanitizer; coverage and libFuzzer come with it. What it finds lies in artifacts/TARGET.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(junit ginkgo files progress)
seeds=../tests/fixtures/reports
triple=$(rustc -vV | sed -n 's/^host: //p')
target=${CARGO_TARGET_DIR:-$PWD/target}

# As cargo-fuzz builds: coverage of edges and comparisons, address sanitizer, overflow checks.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Ccodegen-units=1"
cargo +nightly build --release --target "$triple" --bins

seed() { # seed TARGET INTO
    local file
    case $1 in
        junit) find "$seeds" -name '*.xml' -size -64k -exec cp -f --backup=numbered {} "$2" \; ;;
        ginkgo) find "$seeds" -name '*.json' -size -64k -exec cp -f --backup=numbered {} "$2" \; ;;
        files)
            while read -r file; do printf '\0%s' "$(head -c 20000 "$file")" >"$2/$(echo "$file" | tr / _)"; done \
                < <(find "$seeds" -name '*.xml' -size -20k)
            while read -r file; do { printf '\1'; cat "$file"; } >"$2/$(echo "$file" | tr / _)"; done \
                < <(find "$seeds" -name '*.xml.gz' -size -20k)
            ;;
        progress) printf 'Will run 3 of 9 specs\n\342\200\242\342\200\242S\n\342\200\242 [FAILED] [0.1 seconds]\n' >"$2/ginkgo" ;;
    esac
}

for name in "${targets[@]}"; do
    mkdir -p "corpus/$name" "artifacts/$name"
    [ -n "$(ls "corpus/$name")" ] || seed "$name" "corpus/$name"
    echo "-- $name for $seconds s"
    "$target/$triple/release/$name" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=65536 \
        -artifact_prefix="artifacts/$name/" -print_final_stats=1 "corpus/$name" 2>&1 |
        grep -E '^(stat::|SUMMARY|==|Done|#[0-9]+.*DONE|thread|artifact)' || true
    [ -z "$(ls "artifacts/$name")" ] || { echo "$name: findings in fuzz/artifacts/$name"; exit 1; }
done
