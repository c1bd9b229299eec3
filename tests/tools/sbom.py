#!/usr/bin/env python3
"""Writes what the executable is made of, as CycloneDX 1.6, to assets/sbom.cdx.json (`make sbom`): every
crate that is compiled for it, with version, licence, checksum and what it depends on. The same tree
gives the same bytes; `--check` compares them."""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACE = ROOT / "assets/sbom.cdx.json"
TARGET = "x86_64-unknown-linux-gnu"
NODE = re.compile(r"^(\d+)\|(\S+) v(\S+)")


def cargo(*arguments):
    run = ["cargo", *arguments, "--locked", "--offline"]
    return subprocess.run(run, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def graph():
    """Who depends on whom, as `(name, version)`. `cargo metadata` also follows optional crates that
    nothing switches on, so the edges are those of `cargo tree`."""
    text = cargo("tree", "--edges", "normal,build", "--target", TARGET, "--prefix", "depth", "--format", "|{p}")
    edges, path = {}, []
    for line in text.splitlines():
        depth, *node = NODE.match(line).groups()
        del path[int(depth):]
        path.append(tuple(node))
        edges.setdefault(path[-1], set())
        if len(path) > 1:
            edges[path[-2]].add(path[-1])
    return path[0], edges


def component(package, reference, kind):
    licence = (package["license"] or "").replace(" / ", " OR ").replace("/", " OR ")
    if not licence:
        sys.exit(f"sbom: {package['name']} names no licence")
    entry = {"type": kind, "bom-ref": reference, "name": package["name"], "version": package["version"]}
    if package["checksum"]:
        entry["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
    return entry | {"licenses": [{"expression": licence}], "purl": reference}


def main():
    root, edges = graph()
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", TARGET))
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in locked}
    packages = {}
    for package in metadata["packages"]:
        key = (package["name"], package["version"])
        packages[key] = package | {"checksum": checksums[key]}

    reference = {key: f"pkg:cargo/{key[0]}@{key[1].replace('+', '%2B')}" for key in edges}
    about = component(packages[root], reference[root], "application")
    about["properties"] = [{"name": "cargo:target", "value": TARGET}]
    components = [component(packages[key], reference[key], "library") for key in sorted(edges) if key != root]
    dependencies = [
        {"ref": reference[key], "dependsOn": sorted(reference[d] for d in edges[key])} for key in sorted(edges)
    ]

    def block(name, entries):
        return f'"{name}":[\n' + ",\n".join(json.dumps(e, separators=(",", ":")) for e in entries) + "\n]"

    head = ['"$schema":"http://cyclonedx.org/schema/bom-1.6.schema.json"', '"bomFormat":"CycloneDX"',
            '"specVersion":"1.6"', '"version":1',
            '"metadata":' + json.dumps({"component": about}, separators=(",", ":"))]
    text = "{" + ",\n".join([*head, block("components", components), block("dependencies", dependencies)]) + "}\n"
    if sys.argv[1:] != ["--check"]:
        PLACE.write_text(text)
    elif not PLACE.exists() or PLACE.read_text() != text:
        sys.exit(f"{PLACE.relative_to(ROOT)} is out of date; run: make sbom")


if __name__ == "__main__":
    main()
