# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the pages to what they describe, and every page's links to files that exist."""

from __future__ import annotations

import ast
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
import reference
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health, _preflight, _request, _settings

# The pages people write; the generated ones are made of links that the generator knows.
PAGES = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "components/*.md", "roles/*/README.md") for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Sets O(path) to V(true).", "Sets `path` to `true`."),
        ("As M(multimaster.kubernetes.file_set) does.", "As [file_set](file_set.md) does."),
        ("P(multimaster.kubernetes.release_links#filter)", "[release_links](release_links_filter.md)"),
        ("P(ansible.builtin.env#lookup)", "`ansible.builtin.env`"),
        ("See L(the site, https://etcd.io/docs).", "See [the site](https://etcd.io/docs)."),
        ("C(host (a name\\))", "`host (a name)`"),
        (["One.", "Two."], "One. Two."),
        ("Etcd's CA(s) stay.", "Etcd's CA(s) stay."),
    ],
)
def test_markup_becomes_markdown(text, made):
    assert reference.marked(text) == made


def test_suboptions_stand_below_their_option():
    options = {"units": {"type": "list", "elements": "dict", "description": "U.", "suboptions": {"name": {"description": "N."}}}}
    assert [row.split("|")[1].strip() for row in reference.rows(options)] == ["`units`", "`units[].name`"]


def test_own_words_win_over_a_fragment():
    document = {
        "extends_documentation_fragment": ["multimaster.kubernetes.attributes", "multimaster.kubernetes.attributes.host"],
        "attributes": {"diff_mode": {"support": "none"}},
    }
    merged = reference.with_fragments(document, ROOT / "plugins" / "doc_fragments")["attributes"]
    assert (merged["diff_mode"]["support"], merged["check_mode"]["support"]) == ("none", "full")
    assert merged["platform"]["platforms"] == "linux"


def test_of_two_fragments_the_first_wins_as_it_does_in_ansible_doc():
    document = {"extends_documentation_fragment": ["multimaster.kubernetes.attributes", "multimaster.kubernetes.attributes.info"]}
    mode = reference.with_fragments(document, ROOT / "plugins" / "doc_fragments")["attributes"]["diff_mode"]
    assert mode["support"] == "full"
    assert "details" in mode, "which contradicts it, so that a rule lets no module extend both"


def test_every_setting_and_every_documented_plugin_has_its_place():
    pages = reference.pages(ROOT, _settings, _preflight, _health, _request)
    settings = pages[ROOT / "docs" / "reference" / "settings.md"]
    assert all(f"`{setting.variable}`" in settings for setting in _settings.SETTINGS)
    checks = pages[ROOT / "docs" / "reference" / "checks.md"]
    assert all(f"| `{check}` |" in checks for check in (*_preflight.CHECKS, *_health.CHECKS))
    index = pages[ROOT / "docs" / "reference" / "README.md"]
    assert all(f"]({path.name})" in index for path in pages if path.name != "README.md")


def ids_in(call):
    """Yield what a Finding's id is, or begins with (then it ends in a hyphen), where that stands in the call itself."""
    for given in call.args[1:2]:
        yield from (part.value for part in ast.walk(given) if isinstance(part, ast.Constant))


def test_every_id_of_a_finding_is_on_the_page_of_checks():
    page = (ROOT / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")
    calls = [
        call
        for path in sorted(ROOT.glob("plugins/*/*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) == "Finding"
    ]
    found = {check for call in calls for check in ids_in(call)}
    assert {"etcd-alarm", "skew-"} < found
    assert [one for one in sorted(found) if f"| `{one}" + ("" if one.endswith("-") else "` |") not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_pages_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
