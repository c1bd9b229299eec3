#!/usr/bin/env python3
"""Advisories about the crates in Cargo.lock, checked without a network.

  advisories.py snapshot DIR   writes tests/advisories/snapshot.tsv from a clone of the database
  advisories.py check          compares Cargo.lock with the snapshot (`make supply-chain`)
"""

import csv
import datetime
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SNAPSHOT = ROOT / "tests/advisories/snapshot.tsv"
SOURCE = "https://github.com/RustSec/advisory-db"
# Where cargo-deny looks below db-path for the database of SOURCE.
DB_NAME = "advisory-db-3157b0e258782691"
COLUMNS = ["id", "crate", "date", "kind", "patched", "unaffected"]
MAX_AGE_DAYS = 90
# Planted at every check: the first must be found in this crate, the second must not.
CONTROL, FOUND, NOT_FOUND = "serde", "RUSTSEC-9999-0001", "RUSTSEC-9999-0002"


def fail(message):
    sys.exit(f"advisories: {message}")


def git(folder, *arguments):
    environment = os.environ | {"TZ": "UTC"}
    return subprocess.run(
        ["git", "-C", folder, *arguments], check=True, stdout=subprocess.PIPE, env=environment
    ).stdout


def snapshot(folder):
    """Keeps facts only: titles and descriptions belong to whoever wrote them."""
    commit, date = git(folder, "log", "-1", "--format=%H %cd", "--date=format-local:%Y-%m-%d").decode().split()
    rows = []
    with tarfile.open(fileobj=io.BytesIO(git(folder, "archive", "HEAD", "crates"))) as archive:
        for member in archive:
            if not member.name.endswith(".md"):
                continue
            text = archive.extractfile(member).read().decode()
            document = tomllib.loads(text.split("```toml", 1)[1].split("```", 1)[0])
            about, versions = document["advisory"], document.get("versions", {})
            if "withdrawn" in about:
                continue
            ranges = [" || ".join(versions.get(name, [])) for name in ("patched", "unaffected")]
            kind = about.get("informational", "vulnerability")
            rows.append([about["id"], about["package"], about["date"], kind, *ranges])
    if not rows:
        fail(f"no advisories in {folder}")
    with SNAPSHOT.open("w", newline="") as file:
        file.write(f"# source {SOURCE}\n# commit {commit}\n# date {date}\n")
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(sorted(rows, key=lambda row: (row[1], row[0])))
    print(f"{SNAPSHOT.relative_to(ROOT)}: {len(rows)} advisories as of {date}")


def read_snapshot():
    with SNAPSHOT.open(newline="") as file:
        lines = file.read().splitlines()
    header = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    rows = list(csv.DictReader((line for line in lines if line[:1] != "#"), delimiter="\t"))
    if not rows or list(rows[0]) != COLUMNS:
        fail(f"{SNAPSHOT.name} does not have the columns {COLUMNS}")
    return header, rows


def write_database(folder, rows):
    """What cargo-deny reads: one file for each advisory. It takes FETCH_HEAD's time for the age of
    the database; that is judged by the date of the snapshot instead, see `check`."""
    (folder / ".git").mkdir(parents=True)
    (folder / ".git/FETCH_HEAD").touch()
    for row in rows:
        ranges = {name: [r for r in row[name].split(" || ") if r] for name in ("patched", "unaffected")}
        lines = ["```toml", "[advisory]"]
        lines += [f'{key} = "{value}"' for key, value in
                  (("id", row["id"]), ("package", row["crate"]), ("date", row["date"]))]
        if row["kind"] != "vulnerability":
            lines.append(f'informational = "{row["kind"]}"')
        lines += ["[versions]"] + [f"{name} = {json.dumps(list_)}" for name, list_ in ranges.items()]
        lines += ["```", "", f'# {row["crate"]}: {row["kind"]}', ""]
        place = folder / "crates" / row["crate"]
        place.mkdir(parents=True, exist_ok=True)
        (place / f'{row["id"]}.md').write_text("\n".join(lines))


def planted():
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    version = next((p["version"] for p in packages if p["name"] == CONTROL and "source" in p), None)
    if version is None:
        fail(f"{CONTROL} is not in Cargo.lock any more; name another crate as CONTROL")
    row = {"crate": CONTROL, "date": "2026-01-01", "kind": "vulnerability", "unaffected": ""}
    return [row | {"id": FOUND, "patched": f"> {version}"}, row | {"id": NOT_FOUND, "patched": f">= {version}"}]


def deny(folder):
    """Runs cargo-deny on the database in `folder`; what it says, as a list."""
    policy = (ROOT / "deny.toml").read_text()
    place = f'[advisories]\ndb-path = {json.dumps(str(folder))}\ndb-urls = ["{SOURCE}"]\n'
    if policy.count("[advisories]\n") != 1:
        fail("deny.toml has no section [advisories]")
    config = folder / "deny.toml"
    # Also the crates that are compiled for other systems count.
    policy = re.sub(r"^targets = .*\n", "", policy.replace("[advisories]\n", place), flags=re.MULTILINE)
    config.write_text(policy)
    environment = os.environ | {"PATH": f"{ROOT}/.tools/bin:{os.environ['PATH']}"}
    run = subprocess.run(
        ["cargo", "deny", "--log-level", "info", "--format", "json", "--config", config,
         "--offline", "--locked", "check", "advisories"],
        cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE,
    )
    said = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
    if run.returncode not in (0, 1) or not any(line["type"] == "summary" for line in said):
        fail(f"cargo-deny did not work:\n{run.stderr}")
    return [line["fields"] for line in said if line["type"] == "diagnostic"]


def accepted_are_told():
    """SECURITY.md lists the advisories that deny.toml accepts, and no others."""
    ignored = tomllib.loads((ROOT / "deny.toml").read_text())["advisories"]["ignore"]
    ids = {entry["id"] if isinstance(entry, dict) else entry for entry in ignored}
    told = set(re.findall(r"RUSTSEC-\d{4}-\d{4}", (ROOT / "SECURITY.md").read_text()))
    if ids != told:
        fail(f"accepted either in deny.toml or in SECURITY.md, not in both: {', '.join(sorted(ids ^ told))}")


def check():
    accepted_are_told()
    header, rows = read_snapshot()
    age = (datetime.datetime.now(datetime.UTC).date() - datetime.date.fromisoformat(header["date"])).days
    print(f"{len(rows)} advisories as of {header['date']} ({age} days ago)")
    if age > MAX_AGE_DAYS:
        print(f"WARNING: the snapshot of advisories is older than {MAX_AGE_DAYS} days; renew it:\n"
              f"  git clone --depth 1 {SOURCE} /tmp/advisory-db\n"
              "  python3 tests/tools/advisories.py snapshot /tmp/advisory-db")

    by_id = {row["id"]: row for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_database(folder / DB_NAME, rows + planted())
        said = deny(folder)

    control, problems, accepted, doubts = [], [], [], {}
    for fields in said:
        found = (fields.get("advisory") or {}).get("id")
        crates = [f"{g['Krate']['name']} {g['Krate']['version']}" for g in fields.get("graphs", [])]
        if found in (FOUND, NOT_FOUND):
            control.append((found, fields["severity"]))
            continue
        row = by_id.get(found)
        what = f"{found} {row['kind']}, patched: {row['patched'] or 'no version'}" if row else fields["message"]
        line = f"  {', '.join(crates)}: {what}"
        if fields["severity"] == "error":
            problems.append(line)
        elif found:
            accepted.append(line)
        elif fields["severity"] == "warning":
            doubts[fields["message"]] = doubts.get(fields["message"], 0) + 1
    if control != [(FOUND, "error")]:
        fail("the check is broken: it does not tell a planted advisory from one that is patched")
    for message, count in doubts.items():
        print(f"warning: {message} ({count})")
    if accepted:
        print("accepted, with the reason in deny.toml:", *accepted, sep="\n")
    if problems:
        print("affected (https://rustsec.org/advisories/ID.html tells more):", *problems, sep="\n")
        sys.exit(1)
    print(f"no {'other ' if accepted else ''}crate of Cargo.lock is affected")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "snapshot":
        snapshot(sys.argv[2])
    elif sys.argv[1:] == ["check"]:
        check()
    else:
        sys.exit(__doc__)
