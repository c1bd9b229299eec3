#!/usr/bin/env bash
# Installs what the tests need and this machine lacks. Debian packages only when a command is
# missing; everything else stays inside the repository (.tools/).
set -euo pipefail
cd "$(dirname "$0")/../.."
echo "==> what the tests need"

packages=()
need() { # command, package
  command -v "$1" >/dev/null || packages+=("$2")
}
need git git
need python3 python3
need curl curl
need gcc gcc
need strace strace
need make make
need node nodejs
need npm npm
need chromium chromium
need ssh-keygen openssh-client
[ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
[ -e /usr/include/stdio.h ] || packages+=(libc6-dev)

if [ "${#packages[@]}" -gt 0 ]; then
  echo "installing: ${packages[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "as root, please: apt-get install ${packages[*]}" >&2
      exit 1
    }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

command -v cargo >/dev/null || {
  echo "cargo is missing; install Rust with rustup, rust-toolchain.toml names the version" >&2
  exit 1
}

# Built once, some minutes; it checks licences, sources, bans and advisories of every dependency.
deny=0.20.2
if ! .tools/bin/cargo-deny --version 2>/dev/null | grep -qFx "cargo-deny $deny"; then
  echo "installing: cargo-deny $deny in .tools"
  cargo install --quiet --locked --force --version "$deny" --root .tools cargo-deny
fi

bash tests/tools/install-opencode.sh
bash tests/tools/install-browser-driver.sh
bash tests/tools/install-identity-provider.sh
bash tests/tools/install-web.sh
