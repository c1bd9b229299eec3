#!/bin/sh
# Installs the certified OpenID provider that people sign in through in the tests; quick when it is there.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
folder=$root/tests/provider
installed=$folder/node_modules/installed.json
if cmp -s "$folder/package-lock.json" "$installed"; then
    exit 0
fi
npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts
cp "$folder/package-lock.json" "$installed"
