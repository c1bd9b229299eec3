#!/usr/bin/env bash
# Packs and signs a release of a small repository around a ready-made executable, installs it, and
# expects the installer to refuse it after every kind of tampering.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd -P)
echo "==> releases: packed, verified, refused once tampered with"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "release-test: $1" >&2
  exit 1
}

cd "$here"
mkdir -p "$work/repository/assets"
cp -R Cargo.toml Cargo.lock rust-toolchain.toml LICENSE-APACHE LICENSE-MIT README.md packaging "$work/repository/"
cp assets/sbom.cdx.json "$work/repository/assets/"
cd "$work"
git -C repository init --quiet
git -C repository add .
git -C repository -c user.name=test -c user.email=test@example.com -c commit.gpgsign=false \
  commit --quiet --message test

for who in site stranger; do
  ssh-keygen -q -t ed25519 -N '' -C "$who" -f "$who"
done
echo "release@site.example namespaces=\"orchestrator-release\" $(cat site.pub)" > allowed_signers
printf '#!/bin/sh\necho works\n' > executable
sign() { # key, file
  rm -f "$2.sig"
  ssh-keygen -q -Y sign -f "$1" -n "${3:-orchestrator-release}" "$2" 2> /dev/null
}

repository/packaging/release.sh --key site --binary executable --out good > /dev/null
repository/packaging/release.sh --key site --binary executable --out again > /dev/null
diff -r good again || fail "packing twice does not give the same bytes"
repository/packaging/release.sh --key site --binary executable --out good > /dev/null 2>&1 &&
  fail "an older release was written over"
grep -q "\"gitCommit\": \"$(git -C repository rev-parse HEAD)\"" good/provenance.json ||
  fail "the provenance does not name the commit"
grep -q "\"sha256\": \"$(sha256sum repository/Cargo.lock | cut -d' ' -f1)\"" \
  good/provenance.json || fail "the provenance does not name the lock file"

repository/packaging/install.sh good --allowed-signers allowed_signers --to bin > /dev/null
[ "$(bin/orchestrator)" = works ] || fail "what was installed does not run"
echo "what was there" > bin/orchestrator

flip() { # file: changes its middle byte
  python3 -c 'import sys; d = bytearray(open(sys.argv[1], "rb").read()); d[len(d) // 2] ^= 1
open(sys.argv[1], "wb").write(d)' "$1"
}
tarball=$(basename good/*.tar.gz)
sbom=$(basename good/*.cdx.json)
tamper() { # what, in the release
  case $1 in
    byte:*) flip "${1#byte:}" ;;
    missing:*) rm "${1#missing:}" ;;
    sums-of-another-executable)
      echo other > "$tarball"
      sha256sum "$tarball" "$sbom" provenance.json > SHA256SUMS ;;
    other-signer) sign ../stranger SHA256SUMS ;;
    other-namespace) sign ../site SHA256SUMS file ;;
    not-listed) echo more > more ;;
    left-out)
      sed -i "/$tarball/d" SHA256SUMS
      sign ../site SHA256SUMS ;;
    path-in-sums)
      sed -i "s|  $tarball|  ../$tarball|" SHA256SUMS
      sign ../site SHA256SUMS ;;
    link)
      mv "$tarball" "../$tarball"
      ln -s "../$tarball" "$tarball" ;;
    link-in-tarball)
      name=${tarball%.tar.gz}
      mkdir "$name"
      ln -s /bin/sh "$name/orchestrator"
      tar -czf "$tarball" "$name"
      rm -r "$name"
      sha256sum "$tarball" "$sbom" provenance.json > SHA256SUMS
      sign ../site SHA256SUMS ;;
  esac
}
count=0
for what in "byte:$tarball" "byte:$sbom" byte:provenance.json byte:SHA256SUMS byte:SHA256SUMS.sig \
  "missing:$tarball" "missing:$sbom" missing:SHA256SUMS missing:SHA256SUMS.sig other-signer \
  other-namespace sums-of-another-executable not-listed left-out path-in-sums link link-in-tarball; do
  rm -rf bad
  cp -R good bad
  (cd bad && tamper "$what")
  if repository/packaging/install.sh bad --allowed-signers allowed_signers --to bin > said 2>&1; then
    fail "$what: installed"
  fi
  grep -q '^install: refused, nothing was installed: ' said || fail "$what: $(cat said)"
  [ "$(cat bin/orchestrator)" = "what was there" ] && [ "$(ls -A bin)" = orchestrator ] ||
    fail "$what: the folder was changed"
  if repository/packaging/install.sh bad --allowed-signers allowed_signers --to empty > said 2>&1 ||
    [ -e empty ]; then
    fail "$what: something was installed"
  fi
  count=$((count + 1))
done
cp allowed_signers good/
if repository/packaging/install.sh good --allowed-signers good/allowed_signers --to empty > said 2>&1; then
  fail "a release said by itself whom to trust"
fi
echo "$count ways of tampering refused"
