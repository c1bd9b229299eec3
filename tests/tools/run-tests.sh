#!/usr/bin/env bash
# Runs all tests and ends with one line that counts them.
set -euo pipefail
cd "$(dirname "$0")/../.."
echo "==> tests${ORCHESTRATOR_DEEP:+ (deep)}"
folder="${CARGO_TARGET_DIR:-target}"
mkdir -p "$folder"
log="$folder/tests.log"

status=0
if command -v cargo-nextest >/dev/null; then
  profile=default
  [ -z "${ORCHESTRATOR_DEEP:-}" ] || profile=deep
  cargo nextest run --locked --no-fail-fast --profile "$profile" --color never 2>&1 \
    | tee "$log" || status=$?
  counted="$(sed -n 's/^ *Summary \[.*\] *//p' "$log" | tail -n 1)"
else
  cargo test --locked --no-fail-fast 2>&1 | tee "$log" || status=$?
  counted="$(awk '/^test result:/ { seen = 1; passed += $4; failed += $6 }
    END { if (seen) printf "%d tests run: %d passed, %d failed", passed + failed, passed, failed }' \
    "$log")"
fi

if [ "$status" -eq 0 ]; then
  echo "PASSED: ${counted:-no tests were run}"
  [ -n "$counted" ]
else
  echo "FAILED: ${counted:-the tests did not build; see above}"
fi
exit "$status"
