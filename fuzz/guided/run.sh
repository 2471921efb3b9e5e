#!/usr/bin/env bash
# Runs the fuzz targets under libFuzzer, all or those that are named, one after another; then keeps the fewest entries that
# reach what all reach. FCP_FUZZ_SECONDS and FCP_FUZZ_RUNS bound each target. Corpora and logs are below FCP_FUZZ_WORK,
# which is target/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly seconds=${FCP_FUZZ_SECONDS:-180} runs=${FCP_FUZZ_RUNS:-10000000} work=${FCP_FUZZ_WORK:-../target/fuzz}
readonly program=$work/x86_64-unknown-linux-gnu/release/guided
# Our code has no unsafe blocks, so an address sanitizer would only slow it down. Assertions and
# overflow checks are those of the profile, which leaves one library out; cargo-fuzz would switch them on everywhere.
cargo +nightly fuzz build --release --fuzz-dir guided --sanitizer none --target x86_64-unknown-linux-gnu --target-dir "$work" guided

targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(ls corpus)
mkdir -p "$work/logs" "$work/found"
failed=0
for target in "${targets[@]}"; do
  export FCP_FUZZ_TARGET=$target
  grown=$work/corpus/$target log=$work/logs/$target least=$(mktemp -d)
  mkdir -p "$grown"
  if ! "$program" "$grown" "corpus/$target" -max_total_time="$seconds" -runs="$runs" -max_len=4096 -timeout=25 \
    -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$work/found/$target-" 2> "$log"; then
    echo "$target breaks, see $log"
    failed=1
    continue
  fi
  "$program" -set_cover_merge=1 -use_counters=0 "$least" "corpus/$target" "$grown" 2>> "$log"
  rm -r "$grown" && mv "$least" "$grown"
  printf '%-16s %10s runs, %5s edges, %4s entries\n' "$target" \
    "$(awk '/number_of_executed_units/ { print $2 }' "$log")" \
    "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d ' ' -f 2)" "$(find "$grown" -type f | wc -l)"
done
exit $failed
