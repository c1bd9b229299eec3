#!/usr/bin/env bash
# Installs a release after it has been verified: first the signature, then every checksum.
#
#   install.sh DIR --allowed-signers FILE [--to DIR]
#
# DIR               a release as packaging/release.sh makes it
# --allowed-signers whom you trust, in the format of ssh-keygen; not from DIR itself
# --to              where the executable goes (~/.local/bin)
set -euo pipefail
export LC_ALL=C
umask 022
usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
refuse() {
  echo "install: refused, nothing was installed: $1" >&2
  exit 1
}
release='' signers='' to=$HOME/.local/bin
while [ $# -gt 0 ]; do
  case $1 in
    --allowed-signers) signers=${2:-} && shift ;;
    --to) to=${2:-} && shift ;;
    -*) usage ;;
    *) [ -z "$release" ] || usage; release=$1 ;;
  esac
  shift || usage
done
[ -n "$release" ] && [ -n "$signers" ] && [ -n "$to" ] || usage
[ -f "$signers" ] || refuse "there is no file $signers"
signers=$(realpath -- "$signers")
to=$(realpath -m -- "$to")
[[ $signers/ != "$(realpath -- "$release")"/* ]] || refuse "$signers comes with the release; take the file from who you trust"
command -v ssh-keygen > /dev/null || refuse "ssh-keygen is missing (Debian: openssh-client)"

# What is verified is a copy, so that nobody changes it in between.
work=$(mktemp -d) new=''
trap 'rm -rf "$work" ${new:+"$new"}' EXIT
mkdir "$work/in" "$work/out"
for file in "$release"/*; do
  [ -f "$file" ] && [ ! -L "$file" ] || refuse "$file is not a plain file"
  cp -- "$file" "$work/in/"
done
cd "$work/in"

[ -f SHA256SUMS ] || refuse "SHA256SUMS is missing"
[ -f SHA256SUMS.sig ] || refuse "SHA256SUMS.sig is missing: the release is not signed"
signer=$(ssh-keygen -Y find-principals -s SHA256SUMS.sig -f "$signers" 2> /dev/null) ||
  refuse "SHA256SUMS.sig is damaged, or its key does not count (any more) in $signers"
signer=${signer%%$'\n'*}
ssh-keygen -q -Y verify -f "$signers" -I "$signer" -n orchestrator-release \
  -s SHA256SUMS.sig < SHA256SUMS > /dev/null 2>&1 ||
  refuse "the signature of $signer does not belong to SHA256SUMS: one of them was changed"

! grep -qvE '^[0-9a-f]{64}  [A-Za-z0-9][A-Za-z0-9._+-]*$' SHA256SUMS || refuse "SHA256SUMS is not a list of checksums"
sha256sum --check --strict --quiet SHA256SUMS 2> /dev/null > "$work/differs" ||
  refuse "not as it was signed: $(cut -d: -f1 "$work/differs" | paste -sd' ')"
listed=$(cut -c67- SHA256SUMS)
for file in *; do
  case $file in SHA256SUMS | SHA256SUMS.sig) continue ;; esac
  grep -qxF -- "$file" <<< "$listed" || refuse "$file is not in SHA256SUMS"
done
tarball=$(grep -xE 'orchestrator-.*\.tar\.gz' <<< "$listed") && [ "$(wc -l <<< "$tarball")" = 1 ] ||
  refuse "SHA256SUMS names no executable, or more than one"
name=${tarball%.tar.gz}
[[ $name == *-"$(uname -m)"-* ]] || refuse "$name is not for this machine ($(uname -m))"

tar -xzf "$tarball" -C "$work/out" --no-same-owner --no-same-permissions "$name/orchestrator" 2> /dev/null ||
  refuse "$tarball holds no $name/orchestrator"
unpacked=$work/out/$name/orchestrator
[ -f "$unpacked" ] && [ ! -L "$unpacked" ] || refuse "$tarball holds no executable"

mkdir -p -- "$to"
new=$(mktemp "$to/.orchestrator.XXXXXX")
cp -- "$unpacked" "$new"
chmod 755 "$new"
sync "$new"
mv -fT "$new" "$to/orchestrator"
commit=$(sed -n 's/.*"gitCommit": "\([0-9a-f]*\)".*/\1/p' provenance.json 2> /dev/null || true)
echo "$to/orchestrator: $name, signed by $signer${commit:+, commit $commit}"
