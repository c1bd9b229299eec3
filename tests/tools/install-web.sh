#!/bin/sh
# Installs what builds and tests the pages of the control room; quick when it is there.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
folder=$root/web
installed=$folder/node_modules/installed.json
if cmp -s "$folder/package-lock.json" "$installed"; then
    exit 0
fi
npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts
cp "$folder/package-lock.json" "$installed"
