#!/usr/bin/env bash
# Builds a clean clone as it is released and prints where the executable lies. Two clones of one
# commit give the same bytes, wherever they lie: docs/releases.md says how.
#
#   packaging/build.sh CLONE
set -euo pipefail
unset RUSTUP_TOOLCHAIN # rust-toolchain.toml decides
tree=$(cd "$1" && pwd -P)
cd "$tree"
[ -z "$(git status --porcelain)" ] || {
  echo "build: $tree has changes that are in no commit" >&2
  exit 1
}

# Cargo reads .cargo/config.toml of every folder above: nobody else may put one there.
above=$tree
while [ "$above" != / ]; do
  above=$(dirname "$above")
  for config in "$above/.cargo/config.toml" "$above/.cargo/config"; do
    [ ! -e "$config" ] || [ "$above/.cargo" -ef "${CARGO_HOME:-$HOME/.cargo}" ] || {
      echo "build: $config would have a say; build elsewhere, or move it away" >&2
      exit 1
    }
  done
  [ -z "$(find "$above" -maxdepth 0 -perm /022)" ] || {
    echo "build: others may write to $above; build below a folder that is yours alone" >&2
    exit 1
  }
done

cargo fetch --quiet --locked >&2

# Messages of panics and of C code hold the paths of sources, and mimalloc holds the time of its
# compilation: fixed names and the time of the commit take their place.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
maps=()
for sources in "$cargo_home"/registry/src/*; do
  maps+=("$sources=/crates" "$(realpath "$sources")=/crates")
done
standard=$(rustc -vV | sed -n 's/^commit-hash: //p')
maps+=("$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$standard" "$tree=/orchestrator")
rust_flags=()
c_flags=()
for map in "${maps[@]}"; do
  [[ ! $map =~ [[:space:]] && $map =~ ^[^=]+=[^=]+$ ]] || {
    echo "build: no blanks and no '=' in paths, please: $map" >&2
    exit 1
  }
  rust_flags+=("--remap-path-prefix=$map")
  c_flags+=("-ffile-prefix-map=$map")
done

# Nothing else of the environment reaches the compilers and build scripts.
env -i PATH="$PATH" HOME="$HOME" LC_ALL=C CARGO_HOME="$cargo_home" \
  ${RUSTUP_HOME:+RUSTUP_HOME="$RUSTUP_HOME"} \
  ${CARGO_BUILD_JOBS:+CARGO_BUILD_JOBS="$CARGO_BUILD_JOBS"} \
  SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" \
  CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f' && printf %s "${rust_flags[*]}")" \
  CFLAGS="${c_flags[*]}" CXXFLAGS="${c_flags[*]}" \
  cargo build --release --locked --offline --target-dir "$tree/target" --bin orchestrator >&2
printf '%s\n' "$tree/target/release/orchestrator"
