#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what is derived: each role's defaults, meta and README from its argument_specs; the settings page.

Usage: generate.py [--check]    (--check writes nothing and fails when something is stale)
A variable is declared once, in meta/argument_specs.yml; everything else about it is made from there.
"""

from __future__ import annotations

import pathlib
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTE = "# Made from meta/argument_specs.yml by `make docs`; change it there.\n"


class Indented(yaml.SafeDumper):
    """Indent lists below their key, as yamllint and ansible-lint want it."""

    def increase_indent(self, flow=False, indentless=False):
        """Return the dumper's indentation with lists never flush."""
        return super().increase_indent(flow, False)


def dump(data):
    """Return YAML that passes the project's linters."""
    return yaml.dump(data, Dumper=Indented, sort_keys=False, width=10**6, allow_unicode=True)


def one_line(text):
    """Return a description (text or list of paragraphs) as one line of Markdown."""
    text = " ".join(text) if isinstance(text, list) else text
    for mark in ("C", "O", "V"):
        text = text.replace(mark + "(", "`(")
    parts = text.split("`(")
    return parts[0] + "".join("`" + part.replace(")", "`", 1) for part in parts[1:])


def defaults(options):
    """Return the text of defaults/main.yml: every option that is not required."""
    values = {name: option.get("default") for name, option in options.items() if not option.get("required")}
    body = "".join(dump({name: value}) for name, value in values.items()) or "{}\n"
    return NOTE + "---\n" + body


def meta(spec):
    """Return the text of meta/main.yml."""
    info = {
        "author": "The multimaster.kubernetes maintainers",
        "description": spec["short_description"],
        "license": "GPL-3.0-or-later",
        "min_ansible_version": "2.19",
        "platforms": [
            {"name": "Debian", "versions": ["bookworm", "trixie"]},
            {"name": "Ubuntu", "versions": ["jammy", "noble"]},
        ],
    }
    return NOTE + "---\n" + dump({"galaxy_info": info, "dependencies": []})


def cell(value):
    """Return a default as a table cell."""
    text = dump(value).replace("...\n", "").strip() if not isinstance(value, (list, dict)) else str(value)
    return "`{0}`".format(text.replace("|", "\\|")) if text else ""


def readme(role, spec):
    """Return the text of a role's README."""
    options = spec.get("options", {})
    lines = ["# multimaster.kubernetes.{0}".format(role), "", spec["short_description"] + ".", ""]
    for paragraph in spec.get("description", []):
        lines.extend([one_line(paragraph), ""])
    lines.extend(["## Inputs", "", "| name | type | default | meaning |", "| --- | --- | --- | --- |"])
    for name, option in options.items():
        kind = option["type"] + (" of " + option["elements"] if option.get("elements") else "")
        default = "required" if option.get("required") else cell(option.get("default"))
        meaning = one_line(option["description"])
        if option.get("choices"):
            meaning += " One of {0}.".format(", ".join("`{0}`".format(choice) for choice in option["choices"]))
        lines.append("| `{0}` | {1} | {2} | {3} |".format(name, kind, default, meaning.replace("|", "\\|")))
    lines.extend(["", "Made from `meta/argument_specs.yml` by `make docs`.", ""])
    return "\n".join(lines)


def wanted():
    """Return {path: content} of every derived file."""
    files = {}
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        role = path.parents[1]
        spec = yaml.safe_load(path.read_text())["argument_specs"]["main"]
        files[role / "defaults" / "main.yml"] = defaults(spec.get("options", {}))
        files[role / "meta" / "main.yml"] = meta(spec)
        files[role / "README.md"] = readme(role.name, spec)
    return files


def main():
    """Write or check the derived files."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, text in wanted().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(("stale: " if check else "wrote: ") + str(path.relative_to(ROOT)))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted()[path])
    if check and stale:
        sys.exit("run `make docs` and commit the result")


if __name__ == "__main__":
    main()
