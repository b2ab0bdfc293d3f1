# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian packages the lab needs on this machine, and where this machine gets Debian from.

Nothing is installed that is already there, and what is installed is said.  Which packages go
into the lab host itself is the business of base.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from .progress import LabError, Progress

RUN = (
    "qemu-system-x86",
    "qemu-utils",
    "mmdebstrap",
    "acpica-tools",
    "openssh-client",
    "e2fsprogs",
    "debian-archive-keyring",
    "zstd",
)
SOURCES = ("linux-source-6.12", "xz-utils")
KERNEL = (
    *SOURCES,
    "build-essential",
    "bc",
    "flex",
    "bison",
    "libelf-dev",
    "libssl-dev",
)
KEYRINGS = Path("/usr/share/keyrings")


def as_root(command: list[str]) -> list[str]:
    """The command, by way of sudo where we are not root."""
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo"):
        return ["sudo", *command]
    raise LabError("This step needs root, and there is no sudo. Run it as root.")


def ensure(names: tuple[str, ...], progress: Progress) -> None:
    missing = [name for name in names if not _installed(name)]
    if not missing:
        return
    with progress.step(f"install packages: {' '.join(missing)}"):
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *missing)


def ensure_keys(release: str, progress: Progress) -> None:
    """Debian 12 shipped before Debian 13 had keys; an update of the keyring brings them."""
    if (KEYRINGS / f"debian-archive-{release}-stable.gpg").exists():
        return
    with progress.step(f"update debian-archive-keyring for {release}"):
        _apt("update")
        _apt("install", "--yes", "debian-archive-keyring")
    if not (KEYRINGS / f"debian-archive-{release}-stable.gpg").exists():
        raise LabError(
            f"The package debian-archive-keyring has no keys for {release}. "
            "Install a newer one by hand, for example from Debian's stable release."
        )


def _installed(name: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat=${Status}", name]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return answer.stdout == "install ok installed"


def _apt(*arguments: str) -> None:
    command = as_root(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", *arguments])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"apt-get {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


class Source(NamedTuple):
    """One line of a machine's apt configuration, as far as it matters here."""

    uri: str
    suite: str
    components: tuple[str, ...]


def mirrors(release: str) -> list[str]:
    """apt's source lines for a Debian release, from wherever this machine gets its own.

    The suite is replaced, the rest is kept: a machine with a local mirror uses that mirror.
    """
    here = codename()
    mine = {source.suite: source for source in read_sources(Path("/etc/apt"))}
    if here not in mine:
        raise LabError(
            f"/etc/apt names no Debian mirror with the suite {here!r}; "
            "the lab takes its packages from the mirror of a Debian machine."
        )
    lines = [f"deb {mine[here].uri} {release} main"]
    if f"{here}-updates" in mine:
        lines.append(f"deb {mine[f'{here}-updates'].uri} {release}-updates main")
    if f"{here}-security" in mine:
        lines.append(f"deb {mine[f'{here}-security'].uri} {release}-security main")
    return lines


def read_sources(folder: Path) -> list[Source]:
    sources: list[Source] = []
    parts = folder / "sources.list.d"
    for path in [folder / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.exists():
            sources += _one_line_style(path.read_text())
    for path in sorted(parts.glob("*.sources")):
        sources += _deb822_style(path.read_text())
    return [source for source in sources if "main" in source.components]


def _one_line_style(text: str) -> list[Source]:
    row = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+?)\s*(?:#.*)?$", re.MULTILINE)
    return [Source(uri, suite, tuple(rest.split())) for uri, suite, rest in row.findall(text)]


def _deb822_style(text: str) -> list[Source]:
    sources = []
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", text):
        pairs = re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].+)*)", stanza, re.MULTILINE)
        field = {name.lower(): value.split() for name, value in pairs}
        if "deb" not in field.get("types", []) or field.get("enabled") == ["no"]:
            continue
        components = tuple(field.get("components", []))
        for uri in field.get("uris", []):
            sources += [Source(uri, suite, components) for suite in field.get("suites", [])]
    return sources


def download(names: tuple[str, ...], suite: str, folder: Path) -> list[Path]:
    """Fetch packages of another suite, and install nothing; apt proves where they come from."""
    apt = folder / "apt"
    for place in ("lists/partial", "archives/partial"):
        (apt / place).mkdir(parents=True)
    (apt / "sources.list").write_text(f"{mirrors(suite)[0]}\n")
    places = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt,
    }
    options = [word for name, place in places.items() for word in ("-o", f"{name}={place}")]
    for words in (["update"], ["download", *names]):
        command = ["env", f"--chdir={folder}", "apt-get", "--quiet=2", *options, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"apt-get {' '.join(words)} of {suite} failed: {done.stderr.strip()}")
    shutil.rmtree(apt)
    return sorted(folder.glob("*.deb"))


def proxy_options() -> list[str]:
    """This machine's apt proxies: mmdebstrap starts from an empty apt configuration."""
    command = ["apt-config", "dump", "--format", "%F %v%n", "Acquire::http::Proxy"]
    options = []
    for name in ("Acquire::http::Proxy", "Acquire::https::Proxy"):
        command[-1] = name
        dump = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        value = dump.partition(" ")[2].strip()
        if value:
            options.append(f'{name} "{value}";')
    return options


def codename() -> str:
    """What Debian calls this machine's release."""
    text = Path("/etc/os-release").read_text()
    found = re.search(r'^VERSION_CODENAME="?(\w+)', text, re.MULTILINE)
    return found.group(1) if found else "unknown"
