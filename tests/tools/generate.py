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
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health, _preflight, _request, _settings

PAGES = "../../docs/reference/"
NOTE = "# Made from meta/argument_specs.yml by `make docs`; change it there.\n"
# How a paragraph begins that says what a role leaves for others to decide from.
OUTPUT = "Registers C("


class Indented(yaml.SafeDumper):
    """Indent lists below their key, as yamllint and ansible-lint want it."""

    def increase_indent(self, flow=False, indentless=False):
        """Return the dumper's indentation with lists never flush."""
        return super().increase_indent(flow, False)


def dump(data):
    """Return YAML that passes the project's linters."""
    return yaml.dump(data, Dumper=Indented, sort_keys=False, width=10**6, allow_unicode=True)


def every_option(specs):
    """Return {name: option} of all entry points, which share what they both read."""
    return {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}


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


def inputs(options, above=""):
    """Return the rows of a table of inputs, those inside a dictionary below it."""
    lines = []
    for name, option in options.items():
        kind = option["type"] + (" of " + option["elements"] if option.get("elements") else "")
        default = "required" if option.get("required") else cell(option["default"]) if "default" in option else ""
        meaning = reference.marked(option["description"], PAGES)
        if option.get("choices"):
            meaning += " One of {0}.".format(", ".join(f"`{choice}`" for choice in option["choices"]))
        lines.append(f"| `{above}{name}` | {kind} | {default} | {reference.cell(meaning)} |")
        inner = f"{above}{name}[]." if option.get("elements") == "dict" else f"{above}{name}."
        lines += inputs(option.get("options", {}), inner)
    return lines


def part(spec, known, level):
    """Return an entry point's lines with headings of that level; inputs that are `known` from another are only named."""
    told = spec.get("description", [])
    options = spec.get("options", {})
    own = {name: option for name, option in options.items() if name not in known}
    shared = ", ".join(f"`{name}`" for name in options if name in known)
    lines = ["", spec["short_description"] + "."]
    for paragraph in (one for one in told if not one.startswith(OUTPUT)):
        lines += ["", reference.marked(paragraph, PAGES)]
    lines += ["", f"Reads {shared}."] if shared else []
    lines += ["", f"{level} Inputs", "", *reference.HEAD.split("\n"), *inputs(own)] if own else []
    left = [reference.marked(paragraph, PAGES) for paragraph in told if paragraph.startswith(OUTPUT)]
    return lines + (["", f"{level} Output"] if left else []) + [line for one in left for line in ("", one)]


def readme(role, specs):
    """Return the text of a role's README, further entry points after the main one."""
    lines = [f"# multimaster.kubernetes.{role}", *part(specs["main"], {}, "##")]
    for name, spec in specs.items():
        if name != "main":
            lines += ["", f"## Entry point `{name}`", *part(spec, specs["main"].get("options", {}), "###")]
    return "\n".join([*lines, "", "Made from `meta/argument_specs.yml` by `make docs`.", ""])


def wanted():
    """Return {path: content} of every derived file."""
    files = {}
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        role = path.parents[1]
        specs = yaml.safe_load(path.read_text())["argument_specs"]
        files[role / "defaults" / "main.yml"] = defaults(every_option(specs))
        files[role / "meta" / "main.yml"] = meta(specs["main"])
        files[role / "README.md"] = readme(role.name, specs)
    files.update(reference.pages(ROOT, _settings, _preflight, _health, _request))
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
