#!/usr/bin/env bash
# Sends requests made from the API document to a server of its own and fails on a 5xx, on an answer
# that the document does not tell of, and on a credential that is not looked at.
# Usage: fuzz.sh BINARY [CASES PER OPERATION]
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$1
examples=${2:-160}
seed=${FUZZ_SEED:-$(date +%s)}

version=4.32.5
tool=.tools/schemathesis
if ! "$tool/bin/st" --version 2>/dev/null | grep -qF "$version"; then
  echo "installing: schemathesis $version in .tools"
  python3 -m venv "$tool" || {
    echo "python3 has no venv here; install python3-venv" >&2
    exit 1
  }
  "$tool/bin/pip" install --quiet "schemathesis==$version"
fi

folder=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT

key="iok_$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')"
ORCHESTRATOR_ADMIN_KEY=$key ORCHESTRATOR_SERVER__REQUESTS_PER_SECOND=0 \
  ORCHESTRATOR_AGENTS__OPENCODE__ENABLED=false ORCHESTRATOR_AGENTS__SIMULATED__ENABLED=true \
  "$binary" serve --listen 127.0.0.1:0 --data-dir "$folder/data" --log-format json --log warn \
  >"$folder/ready" 2>"$folder/log" &
server=$!
for _ in $(seq 100); do
  url=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$folder/ready")
  [ -z "$url" ] || break
  sleep 0.2
done
[ -n "$url" ] || { cat "$folder/log" >&2; exit 1; }

post() { # path, body
  curl --silent --show-error --fail --output /dev/null \
    --header "Authorization: Bearer $key" --header "X-Tenant-ID: default" \
    --header "Content-Type: application/json" --data "$2" "$url/api/v1/$1"
}
quotas='{"max_concurrent_sessions":null,"max_queue_depth":null}'
curl --silent --show-error --fail --output /dev/null --request PUT \
  --header "Authorization: Bearer $key" --header "Content-Type: application/json" \
  --data "$quotas" "$url/api/v1/tenants/default/quotas"
post sessions '{"initial_prompt":"x","title":"there"}'
post sessions/IND-000001/checkpoints '{}'

# Once with ids that it makes up, and once with those of a session that is there, whose log is not followed:
# a stream that goes on live has no end.
cat >"$folder/there.toml" <<'TOML'
[[operations]]
include-path-regex = "^/api/v1/sessions/[{]id[}]"
parameters = { "path.id" = "IND-000001", "path.seq" = 1, "query.follow" = false }
TOML
: >"$folder/any.toml"
total=0
for ids in any there; do
  echo "==> fuzzing with ids: $ids (seed $seed)"
  more=()
  [ "$ids" = any ] || more=(--include-path-regex '^/api/v1/sessions/[{]id[}]' --exclude-method DELETE)
  [ "$ids" = there ] || more=(--exclude-path-regex '^/ws/')
  status=0
  "$tool/bin/st" --config-file "$folder/$ids.toml" run "$url/openapi.json" \
    --header "Authorization: Bearer $key" --header "X-Tenant-ID: default" \
    --checks not_a_server_error,status_code_conformance,ignored_auth,use_after_free,unsupported_method,allow_header_conformance,content_type_conformance,response_schema_conformance \
    --phases examples,coverage,fuzzing --max-examples "$examples" --seed "$seed" --no-shrink \
    --continue-on-failure --request-timeout 30 --warnings off --no-color "${more[@]}" \
    >"$folder/report" 2>&1 || status=$?
  cases=$(sed -n 's/^ *\([0-9][0-9]*\) generated.*/\1/p' "$folder/report" | tail -n 1)
  total=$((total + ${cases:-0}))
  # After ten wrong credentials of one address the answer is 429, which is a refusal, too.
  found=$(grep -c '^- ST' "$folder/report" || true)
  waits=$(grep -c 'got `429 Too Many Requests`.*(invalid credentials provided)' "$folder/report" || true)
  if [ "$status" -gt 1 ] || { [ "$status" -eq 1 ] && [ "$found" -ne "$waits" ]; }; then
    cat "$folder/report"
    echo "FAILED: the fuzzer found something; again with: FUZZ_SEED=$seed make fuzz" >&2
    exit 1
  fi
  echo "$cases cases, nothing found"
done
if grep -q panicked "$folder/log"; then
  cat "$folder/log"
  echo "FAILED: a handler panicked" >&2
  exit 1
fi
echo "PASSED: $total cases"
if [ "$examples" -ge 160 ] && [ "$total" -lt 20000 ]; then
  echo "FAILED: fewer than 20,000" >&2
  exit 1
fi
