#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what is derived: each role's defaults, meta and README from its argument_specs; the reference pages.

Usage: generate.py [--check]    (--check writes nothing and fails when something is stale)
A variable is declared once, in meta/argument_specs.yml; everything else about it is made from there.
"""

from __future__ import annotations

import pathlib
import sys

import reference
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collections"))
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health, _preflight, _settings

PAGES = "../../docs/reference/"
NOTE = "# Made from meta/argument_specs.yml by `make docs`; change it there.\n"


class Indented(yaml.SafeDumper):
    """Indent lists below their key, as yamllint and ansible-lint want it."""

    def increase_indent(self, flow=False, indentless=False):
        """Return the dumper's indentation with lists never flush."""
        return super().increase_indent(flow, False)


def dump(data):
    """Return YAML that passes the project's linters."""
    return yaml.dump(data, Dumper=Indented, sort_keys=False, width=10**6, allow_unicode=True)


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
    return f"`{reference.cell(text)}`" if text else ""


def inputs(options):
    """Return the table of a role's inputs as lines."""
    lines = [*reference.HEAD.split("\n")]
    for name, option in options.items():
        kind = option["type"] + (" of " + option["elements"] if option.get("elements") else "")
        default = "required" if option.get("required") else cell(option.get("default"))
        meaning = reference.marked(option["description"], PAGES)
        if option.get("choices"):
            meaning += " One of {0}.".format(", ".join(f"`{choice}`" for choice in option["choices"]))
        lines.append(f"| `{name}` | {kind} | {default} | {reference.cell(meaning)} |")
    return lines


def readme(role, specs):
    """Return the text of a role's README, further entry points after the main one."""
    lines = [f"# multimaster.kubernetes.{role}"]
    for name, spec in specs.items():
        lines += [] if name == "main" else ["", f"## Entry point `{name}`"]
        lines += ["", spec["short_description"] + "."]
        for paragraph in spec.get("description", []):
            lines += ["", reference.marked(paragraph, PAGES)]
        lines += ["", "## Inputs" if name == "main" else "### Inputs", "", *inputs(spec.get("options", {}))]
    return "\n".join([*lines, "", "Made from `meta/argument_specs.yml` by `make docs`.", ""])


def wanted():
    """Return {path: content} of every derived file."""
    files = {}
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        role = path.parents[1]
        specs = yaml.safe_load(path.read_text())["argument_specs"]
        files[role / "defaults" / "main.yml"] = defaults(specs["main"].get("options", {}))
        files[role / "meta" / "main.yml"] = meta(specs["main"])
        files[role / "README.md"] = readme(role.name, specs)
    files.update(reference.pages(ROOT, _settings, _preflight, _health))
    return files


def main():
    """Write or check the derived files, and that no page outlives what it describes."""
    check = "--check" in sys.argv[1:]
    files = wanted()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    left = [path for path in sorted((ROOT / "docs" / "reference").glob("*")) if path not in files]
    for path in stale + left:
        print(("stale: " if check else "removed: " if path in left else "wrote: ") + str(path.relative_to(ROOT)))
        if not check and path in left:
            path.unlink()
        elif not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
    if check and stale + left:
        sys.exit("run `make docs` and commit the result")


if __name__ == "__main__":
    main()
