# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the reference pages: each plugin's from its documentation block, the settings' from the table of settings.

It reads the files as text, so a page needs no installed collection. Leaves out: roles, whose README stands beside them.
"""

from __future__ import annotations

import ast
import re

import yaml

NOTE = "Made from {0} by `make docs`."
PREFIX = "multimaster.kubernetes."
MARKUP = re.compile(r"\b(C|O|V|M|P|RV|E|B|I|U|L|R)\(((?:[^()\\]|\\.|\([^()]*\))*)\)")
HEAD = "| name | type | default | meaning |\n| --- | --- | --- | --- |"


def marked(text, pages=""):
    """Return Ansible's documentation markup as Markdown; `pages` leads from the page to the reference's folder."""

    def one(found):
        kind, inner = found.group(1), found.group(2).replace("\\)", ")").replace("\\(", "(")
        if kind == "M" or kind == "P":
            name, _mark, plugin = inner.partition("#")
            own = name[len(PREFIX) :] if name.startswith(PREFIX) else ""
            page = f"{pages}{own}_{plugin}.md" if plugin not in ("", "module") else f"{pages}{own}.md"
            return f"[{own}]({page})" if own else f"`{name}`"
        if kind in ("O", "RV") and "#" in inner:
            inner = inner.partition("#")[2].partition(":")[2]
        if kind == "L":
            label, _comma, target = inner.rpartition(",")
            return f"[{label.strip()}]({target.strip()})"
        return {"B": f"**{inner}**", "I": f"*{inner}*", "U": f"<{inner}>"}.get(kind, f"`{inner}`")

    text = " ".join(str(part).strip() for part in text) if isinstance(text, list) else str(text)
    return MARKUP.sub(one, " ".join(text.split()))


def cell(text):
    """Return text that can stand in a table."""
    return text.replace("|", "\\|")


def value(default):
    """Return a default as code."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return "" if default is None else cell(f"`{default!r}`" if isinstance(default, str) and not default else f"`{default}`")


def rows(options, pages="", above=""):
    """Return the table rows of options, suboptions below theirs."""
    lines = []
    for name, option in options.items():
        kind = option.get("type", "str") + (f" of {option['elements']}" if option.get("elements") else "")
        default = "required" if option.get("required") else value(option.get("default"))
        meaning = marked(option["description"], pages)
        if option.get("choices"):
            choices = option["choices"]
            meaning += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
            if isinstance(choices, dict):
                meaning += "".join(f" `{choice}`: {marked(text, pages)}" for choice, text in choices.items())
        lines.append(f"| `{above}{name}` | {kind} | {default} | {cell(meaning)} |")
        inner = f"{above}{name}[]." if option.get("elements") == "dict" else f"{above}{name}."
        lines += rows(option.get("suboptions", {}), pages, inner)
    return lines


def returned(values, above=""):
    """Return the table rows of returned values, contained ones below theirs."""
    lines = []
    for name, item in values.items():
        kind = item.get("type", "") + (f" of {item['elements']}" if item.get("elements") else "")
        when, meaning = cell(marked(item.get("returned", ""))), cell(marked(item["description"]))
        lines.append(f"| `{above}{name}` | {kind} | {when} | {meaning} |")
        inner = f"{above}{name}[]." if item.get("elements") == "dict" else f"{above}{name}."
        lines += returned(item.get("contains", {}), inner)
    return lines


def constants(path):
    """Return {name: text} of the string constants assigned in a Python file, also those inside classes."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.update({target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)})
    return found


def blocks(path):
    """Return (documentation, examples, return values) of a plugin; None when it has no documentation."""
    if path.suffix == ".yml":
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return content["DOCUMENTATION"], content.get("EXAMPLES", ""), content.get("RETURN") or {}
    found = constants(path)
    if "DOCUMENTATION" not in found:
        return None
    return yaml.safe_load(found["DOCUMENTATION"]), found.get("EXAMPLES", ""), yaml.safe_load(found.get("RETURN", "")) or {}


def with_fragments(document, folder):
    """Return the documentation with the fragments it extends merged in, as Ansible does: its own words win, then the first's."""
    merged = {"options": {}, "attributes": {}}
    for name in document.get("extends_documentation_fragment", []):
        parts = name[len(PREFIX) :].split(".")
        fragment = yaml.safe_load(constants(folder / f"{parts[0]}.py")[(parts[1:] or ["documentation"])[0].upper()])
        for key in merged:
            for entry, item in (fragment.get(key) or {}).items():
                merged[key][entry] = {**item, **merged[key].get(entry, {})}
    for key in merged:
        for name, item in (document.get(key) or {}).items():
            merged[key][name] = {**merged[key].get(name, {}), **item}
    return {**document, **merged}


def plugin_page(kind, path, fragments):
    """Return the Markdown page of one plugin."""
    document, examples, values = blocks(path)
    document = with_fragments(document, fragments)
    name = document.get("module") or document["name"]
    lines = [f"# {PREFIX}{name} ({kind})", "", marked(document["short_description"]) + ".", ""]
    described = document.get("description", [])
    lines += [f"- {marked(text)}" for text in ([described] if isinstance(described, str) else described)]
    if document["options"]:
        lines += ["", "## Parameters", "", HEAD, *rows(document["options"])]
    if document["attributes"]:
        lines += ["", "## Attributes", "", "| attribute | support | meaning |", "| --- | --- | --- |"]
        for attribute, item in document["attributes"].items():
            meaning = " ".join(marked(item[key]) for key in ("description", "details") if item.get(key))
            lines.append(f"| `{attribute}` | {item['support']} | {cell(meaning)} |")
    if document.get("notes"):
        lines += ["", "## Notes", "", *(f"- {marked(note)}" for note in document["notes"])]
    if examples:
        lines += ["", "## Examples", "", "```yaml", examples.strip(), "```"]
    if values:
        lines += ["", "## Return values", "", HEAD.replace("default", "returned"), *returned(values)]
    source = path.relative_to(fragments.parents[1])
    return "\n".join([*lines, "", NOTE.format(f"[`{source}`](../../{source})"), ""])


def settings_page(settings):
    """Return the Markdown page of the inventory's settings; `settings` is the module _settings."""
    lines = [
        "# Settings",
        "",
        "Every variable the inventory may set. Any other name that begins with `multimaster_` is reported as a misspelling. "
        "[The guide](../inventory.md) says how they go together.",
    ]
    for scope, title in ((settings.CLUSTER, "For the cluster, the same on every host"), (settings.HOST, "For one host")):
        lines += ["", f"## {title}", "", HEAD]
        for setting in settings.SETTINGS:
            if setting.scope == scope:
                default = "required" if setting.required else ""
                if setting.default not in (None, "", ()):
                    default = value(setting.default).replace("{inventory_dir}", "<inventory folder>")
                meaning = setting.description
                if setting.choices:
                    meaning += " One of " + ", ".join(f"`{choice}`" for choice in setting.choices) + "."
                lines.append(f"| `{setting.variable}` | {setting.type} | {default} | {cell(meaning)} |")
    source = "[`plugins/module_utils/_settings.py`](../../plugins/module_utils/_settings.py)"
    return "\n".join([*lines, "", NOTE.format(source), ""])


def _first_line(function):
    return cell(function.__doc__.strip().splitlines()[0])


def checks_page(preflight, health, request):
    """Return the Markdown page of all checks: what each one's function says first that it wants, or a table of ids does."""
    lines = [
        "# Checks",
        "",
        "What is judged, by id. A finding says besides what was found, where, and how to mend it.",
    ]
    lines += ["", "## Before a run (`preflight.yml`, `site.yml`)", "", "| id | |", "| --- | --- |"]
    lines += [f"| `{check}` | {_first_line(judge)} |" for check, judge in preflight.CHECKS.items()]
    lines += [f"| `{check}` | {cell(wanted)} |" for check, wanted in {**preflight.FURTHER, **request.CHECKS}.items()]
    lines += ["", "## Of a cluster (`health.yml`)", "", "Causes stand before what follows from them."]
    lines += ["", "| id | | at worst |", "| --- | --- | --- |"]
    for check, judge in health.CHECKS.items():
        worst = "DOWN" if check in health.DOWN_BY else "a warning" if check in health.TELLING else "DEGRADED"
        lines.append(f"| `{check}` | {_first_line(judge)} | {worst} |")
    note = "A preflight check that does not fit is left out by `multimaster_preflight_ignore: [ID]`; `request-…` cannot."
    sources = ", ".join(f"`_{name}.py`" for name in ("preflight", "settings", "skew", "request", "health"))
    sources = f"`CHECKS` in `plugins/module_utils/`: {sources}"
    return "\n".join([*lines, "", note, "", NOTE.format(sources), ""])


def pages(root, settings, preflight, health, request):
    """Return {path: text} of every reference page and their index; the modules are those of the decisions."""
    folder, fragments = root / "docs" / "reference", root / "plugins" / "doc_fragments"
    found = {folder / "settings.md": settings_page(settings), folder / "checks.md": checks_page(preflight, health, request)}
    index = ["# Reference", "", "- [Settings](settings.md) of the inventory", "- [Checks](checks.md) of preflight and health"]
    kinds = (
        ("module", "Modules", "modules/*.py"),
        ("filter", "Filters", "filter/*.yml"),
        ("lookup", "Lookups", "lookup/*.py"),
    )
    index += ["", "## Roles", ""]
    for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        role = path.parents[1].name
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]
        index.append(f"- [{role}](../../roles/{role}/README.md): {marked(spec['short_description'])}")
    for kind, title, pattern in kinds:
        index += ["", f"## {title}", ""]
        for path in sorted(root.glob("plugins/" + pattern)):
            page = path.stem if kind == "module" else f"{path.stem}_{kind}"
            found[folder / f"{page}.md"] = plugin_page(kind, path, fragments)
            index.append(f"- [{path.stem}]({page}.md): {marked(blocks(path)[0]['short_description'])}")
    found[folder / "README.md"] = "\n".join([*index, "", NOTE.format("the files they describe"), ""])
    return found
