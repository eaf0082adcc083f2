# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a decision pure: it imports only what computes, and touches neither files, clock nor chance.

A form, which is how something is written, is held to the same. A file whose name does not tell another kind is listed here or
refused, so none reaches outside by the name of a decision (docs/architecture.md).
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys

import pytest
from ansible_collections.multimaster.kubernetes.plugins import module_utils

FOLDER = pathlib.Path(module_utils.__path__[0])
SIBLINGS = "ansible_collections.multimaster.kubernetes.plugins.module_utils"

# Every decision is listed here; a new one is added, and the test then holds it to the rules.
DECISIONS = (
    "_artifact_plan",
    "_beside_turns",
    "_bootstrap",
    "_canary",
    "_cluster_record",
    "_csr",
    "_downgrade",
    "_drain",
    "_endpoint",
    "_endpoint_plan",
    "_etcd_plan",
    "_etcd_scene",
    "_feature_gates",
    "_file_plan",
    "_finding",
    "_giving_way",
    "_health",
    "_health_api",
    "_health_drift",
    "_health_etcd",
    "_health_nodes",
    "_health_view",
    "_host_scene",
    "_host_versions",
    "_identity",
    "_image_plan",
    "_join_order",
    "_kernel_plan",
    "_leader_election",
    "_lock",
    "_membership",
    "_metrics",
    "_node_disks",
    "_pki",
    "_pki_plan",
    "_plan",
    "_plan_state",
    "_ports",
    "_preflight",
    "_preflight_cluster",
    "_preflight_endpoint",
    "_preflight_hosts",
    "_preflight_inventory",
    "_preflight_machine",
    "_preflight_view",
    "_questions",
    "_quorum",
    "_quorum_gate",
    "_releases",
    "_request",
    "_role_inputs",
    "_reset_plan",
    "_rolling",
    "_settings",
    "_skew",
    "_spread",
    "_summary",
    "_timing",
    "_topology",
    "_turns",
    "_unit_plan",
    "_removed_flags",
    "_resolver",
    "_upgrade",
    "_upgrade_refusals",
    "_upgrade_scene",
    "_upgrade_view",
)
# How something is written or read, likewise pure.
FORMS = ("_asn1", "_bootstrap_token", "_failure", "_kube_objects", "_pkcs10", "_rendering", "_topology_fact")
# Who talks to the program, protocol or service of this name.
CLIENTS = (
    *("_addresses", "_arp", "_artifacts", "_command", "_etcd", "_haproxy", "_https", "_images", "_keepalived", "_kernel"),
    *("_kube", "_ready", "_snapshot", "_systemd", "_vrrp"),
)
# How the names of the others end.
ENDS = ("_host", "_reading", "_file", "_files", "_flow", "_flows", "_places", "_server", "_report")
# Parts of the standard library that compute and nothing else.
COMPUTING = {
    *("__future__", "ast", "base64", "collections", "copy", "dataclasses", "difflib", "enum", "fnmatch", "functools", "heapq"),
    *(
        "hashlib",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "operator",
        "posixpath",
        "re",
        "shlex",
        "string",
        "textwrap",
    ),
    *("collections.abc", "types", "typing", "urllib.parse"),
}
# What forms need besides: it computes too, but for the clock (CLOCK).
OF_FORMS = {"binascii", "datetime", "errno"}
CLOCK = {"now", "utcnow", "today"}
FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}


def tree(name):
    # 3.9 is the oldest Python on a host
    return ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"), feature_version=(3, 9))


def imported(name):
    """Return (modules outside the collection, sibling files) that a file imports anywhere."""
    outside, siblings = set(), set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            outside |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "name the whole path: it is what a reader can search for"
            if node.module == SIBLINGS:
                siblings |= {alias.name for alias in node.names}
            elif node.module.startswith(SIBLINGS + "."):
                siblings.add(node.module[len(SIBLINGS) + 1 :])
            else:
                outside.add(node.module)
    return outside, siblings


def kinds(name):
    """Return the kinds that a file is of, by its name or where it is listed."""
    listed = {"decision": DECISIONS, "form": FORMS, "client": CLIENTS}
    return [kind for kind, names in listed.items() if name in names] + [end for end in ENDS if name.endswith(end)]


def test_every_file_is_of_one_kind():
    """What is none reaches outside without a name that says so: list a decision or a form above, or name it by what it does."""
    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
    assert {name: kinds(name) for name in names if len(kinds(name)) != 1} == {}
    assert {*DECISIONS, *FORMS, *CLIENTS} <= set(names)


@pytest.mark.parametrize(
    "name, found", [("_new_talker", []), ("_new_host", ["_host"]), ("_etcd", ["client"]), ("_files", ["_files"])]
)
def test_a_name_tells_its_kind(name, found):
    assert kinds(name) == found


def test_the_page_lists_the_same():
    paragraph = (FOLDER.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8").partition("Two kinds have a bare")[2]
    clients, _form, forms = paragraph.partition("test_decisions.py")[0].partition("A form is")
    assert [tuple(re.findall(r"`(_\w+)`", text)) for text in (clients, forms)] == [CLIENTS, FORMS]


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_pure_like_a_decision(name):
    outside, siblings = imported(name)
    assert outside - COMPUTING - OF_FORMS - {"_asn1"} == set()  # a sibling by its bare name: a program on hosts imports it so
    assert siblings <= {*DECISIONS, *FORMS}
    called = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}
    assert called & (FORBIDDEN_CALLS | CLOCK) == set()


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_imports_only_what_computes(name):
    outside, _siblings = imported(name)
    assert outside - COMPUTING == set()
    assert {module.split(".")[0] for module in outside} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_imports_decisions_only(name):
    _outside, siblings = imported(name)
    assert siblings <= set(DECISIONS)


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_calls_nothing_that_reaches_outside(name):
    called = {node.func.id for node in ast.walk(tree(name)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called & FORBIDDEN_CALLS == set()


@pytest.mark.parametrize("name", DECISIONS)
def test_what_a_decision_returns_is_frozen(name):
    """Every class is a frozen dataclass, a named tuple, an error to raise, or private."""
    for node in tree(name).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            frozen = any(
                isinstance(mark, ast.Call) and any(k.arg == "frozen" and k.value.value for k in mark.keywords)
                for mark in node.decorator_list
            )
            bases = {ast.unparse(base) for base in node.bases}
            assert frozen or bases & {"typing.NamedTuple", "NamedTuple", "Exception", "ValueError"}, node.name


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_says_what_it_is_for(name):
    text = ast.get_docstring(tree(name)) or ""
    assert text
    public = [n for n in tree(name).body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")]
    assert [node.name for node in public if not ast.get_docstring(node)] == []
