#!/usr/bin/env bash
# Builds the commit that is checked out twice, each from a clone in a folder of its own, with cargo's
# home under another name, and expects the same bytes. Takes as long as two release builds.
set -euo pipefail
root=$(cd "${1:-$(dirname "$0")/../..}" && pwd -P)
commit=$(git -C "$root" rev-parse HEAD)
real_home=$(realpath "${CARGO_HOME:-$HOME/.cargo}")
echo "==> two builds of $commit"

work=$(mktemp -d -p "$HOME" .orchestrator-build.XXXXXX)
trap 'rm -rf "$work"' EXIT
build() { # clone, cargo's home, result
  git clone --quiet --no-hardlinks "$root" "$1"
  CARGO_HOME=$2 bash "$1/packaging/build.sh" "$1" > "$work/path"
  cp "$(cat "$work/path")" "$work/$3"
  rm -rf "$1"
}
build "$work/one" "$real_home" first

home=$work/another/name/of/home
mkdir -p "$home"
ln -s "$real_home/registry" "$home/registry"
[ ! -e "$real_home/config.toml" ] || ln -s "$real_home/config.toml" "$home/config.toml"
build "$work/another/name/of/the/same" "$home" second

sha256sum "$work/first" "$work/second" | sed "s|$work/||"
cmp "$work/first" "$work/second" || {
  echo "the two builds differ" >&2
  exit 1
}
for path in "$work" "$real_home" "$(rustc --print sysroot)"; do
  ! grep -qaF -- "$path/" "$work/first" || {
    echo "the executable names a folder of this machine: $path" >&2
    exit 1
  }
done
echo "the same bytes"
