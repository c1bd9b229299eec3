#!/bin/sh
# Installs the OpenCode server that the tests drive into .tools/opencode; quick when it is there.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
source=$root/tests/tools/opencode
target=$root/.tools/opencode
wanted=$(sed -n 's/.*"opencode-ai": "\([0-9.]*\)".*/\1/p' "$source/package.json")
program=$target/node_modules/.bin/opencode
installed=$target/installed.json
if [ -x "$program" ] && cmp -s "$source/package-lock.json" "$installed"; then
    exit 0
fi
mkdir -p "$target"
rm -f "$installed"
cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$target/"
npm ci --prefix "$target" --no-audit --no-fund
found=$("$program" --version)
if [ "$found" != "$wanted" ]; then
    echo "OpenCode $wanted was wanted and $found was installed" >&2
    exit 1
fi
cp "$source/package-lock.json" "$installed"
