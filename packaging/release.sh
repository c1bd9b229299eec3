#!/usr/bin/env bash
# Makes a signed release of the commit that is checked out: docs/releases.md tells the steps.
#
#   packaging/release.sh --key FILE [--out DIR] [--binary FILE]
#
# --key     the private key that signs, as ssh-keygen makes it
# --out     where the release goes, a folder that is not there yet or empty (dist)
# --binary  packs this file instead of building; the provenance says so. For tests.
set -euo pipefail
unset CDPATH RUSTUP_TOOLCHAIN # rust-toolchain.toml decides
root=$(cd "$(dirname "$0")/.." && pwd -P)
key='' out=$root/dist binary=''
while [ $# -gt 0 ]; do
  case $1 in
    --key) key=$(realpath "${2:?}") ;;
    --out) out=$(realpath -m "${2:?}") ;;
    --binary) binary=$(realpath "${2:?}") ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done
stop() {
  echo "release: $1" >&2
  exit 1
}
[ -f "$key" ] || stop "which key signs? --key FILE (make release SIGNING_KEY=FILE)"
[ -z "$(ls -A "$out" 2>/dev/null)" ] || stop "$out is not empty; move it away"
[ -z "$(git -C "$root" status --porcelain)" ] || echo "release: what is not committed is left out" >&2

work=$(mktemp -d -p "$HOME" .orchestrator-build.XXXXXX)
trap 'rm -rf "$work"' EXIT
git clone --quiet --no-hardlinks "$root" "$work/source"
cd "$work/source"
commit=$(git rev-parse HEAD)
version=$(sed -n '/^version = /{s/.*"\(.*\)".*/\1/p;q}' Cargo.toml)
toolchain=$(rustc --version)
compiler=$(cc --version | sed -n 1p)
target=$(rustc -vV | sed -n 's/^host: //p')
name=orchestrator-$version-$target
epoch=$(git log -1 --format=%ct)

how=built
[ -z "$binary" ] || how=given
[ "$how" = given ] || binary=$(bash packaging/build.sh .)

mkdir -p "$work/$name" "$work/dist"
install -m 755 "$binary" "$work/$name/orchestrator"
install -m 644 LICENSE-APACHE LICENSE-MIT README.md "$work/$name/"
tar -C "$work" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
  --mtime="@$epoch" -cf - "$name" | gzip -9n > "$work/dist/$name.tar.gz"
cp assets/sbom.cdx.json "$work/dist/$name.cdx.json"

cd "$work/dist"
sum() { sha256sum "$1" | cut -d' ' -f1; }
python3 - "$how" "$commit" "$version" "$target" "$toolchain" "$compiler" \
  "$(sum ../source/Cargo.lock)" "$name" "$(sum "$name.tar.gz")" "$(sum "$name.cdx.json")" \
  "$(sum "../$name/orchestrator")" > provenance.json <<'PYTHON'
import json, sys

how, commit, version, target, toolchain, compiler, lock, name, tarball, sbom, binary = sys.argv[1:]
materials = [
    {"name": "source", "digest": {"gitCommit": commit}},
    {"name": "Cargo.lock", "digest": {"sha256": lock}},
]
if how == "built":
    made = {"command": "packaging/build.sh", "rustc": toolchain, "cc": compiler}
else:
    made = {"note": "the executable was given to packaging/release.sh, not built by it"}
statement = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [
        {"name": f"{name}.tar.gz", "digest": {"sha256": tarball}},
        {"name": f"{name}.cdx.json", "digest": {"sha256": sbom}},
        {"name": f"{name}/orchestrator", "digest": {"sha256": binary}},
    ],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {
        "buildDefinition": {
            "buildType": f"urn:orchestrator:release:{how}",
            "externalParameters": {"version": version, "target": target},
            "internalParameters": made,
            "resolvedDependencies": materials,
        },
        "runDetails": {"builder": {"id": "urn:orchestrator:packaging:release.sh"}},
    },
}
json.dump(statement, sys.stdout, indent=2)
print()
PYTHON

sha256sum -- * > "$work/SHA256SUMS"
mv "$work/SHA256SUMS" .
ssh-keygen -q -Y sign -f "$key" -n orchestrator-release SHA256SUMS
mkdir -p "$out"
cp -- * "$out/"
echo "$out: $name of ${commit:0:12}, signed"
