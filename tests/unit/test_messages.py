# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold that whatever ends a task says what to do next, at each place that raises an error or ends a module.

The text says `Next: …`, or what raises it is given a next step, or its class has one. What only passes on a text, or never
reaches a person, is listed with its reason.
"""

from __future__ import annotations

import ast
import functools
import pathlib
import re

import pytest

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"
FILES = sorted(path for path in PLUGINS.rglob("*.py") if path.name != "__init__.py")
# Ansible's own, which end a task of the controller.
ENDS = {"AnsibleActionFail", "AnsibleLookupError", "AnsibleFilterError"}
# Errors that no person sees as they are: {class: who says it, and how}.
INSIDE = {
    "Asn1Error": "a signing request that cannot be read is denied, and the node's denial says what to do",
    "_pkcs10.RequestError": "likewise",
    "TransportError": "the clients of etcd and of the API make their own error of it",
    "NobodyServes": "is waited out, and the flow that gives up says what to do",
}
# Places that pass on a text which has it: {(file, what is raised or said): where that text is held to it}.
PASSED_ON = {
    ("action/admin_kubeconfig.py", "str(error)"): "errors of the CA store, of certificates and of the kubeconfig, each held here",
    ("action/certificates.py", "str(error)"): "likewise",
    ("lookup/bootstrap_token.py", "str(error)"): "errors of the CA store",
    ("action/topology.py", "message(errors, args['so_far'])"): "test_topology.py",
    ("action/topology.py", "to_do(topology.plan)"): "test_topology.py",
    ("module_utils/_reset_host.py", "decided.reason"): "test__reset_plan.py",
    ("module_utils/_node_flow.py", "said"): "_drain, with test__drain.py",
    ("module_utils/_node_flow.py", "f'{error}. {stands}'"): "its cause has it",
    ("module_utils/_systemd.py", "f'{unit.name} cannot be asked whether it is ready: {error}'"): "CredentialsError, held here",
    ("module_utils/_images.py", "f'{archive.reference}: {error}'"): "its cause, an ArtifactError, has it",
    ("module_utils/_certificate_files.py", "str(error)"): "its cause, of files, has it",
    ("modules/api_server_canary.py", "f'The canary cannot be watched: {error}'"): "CredentialsError, held here",
    ("modules/operation_lock.py", "result['reason']"): "_lock, with test__lock.py",
}


@functools.cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def place(path):
    return path.relative_to(PLUGINS).as_posix()


def defined(kind):
    """Return every class or function of the plugins, by name and by `module.name`."""
    found = {}
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, kind):
                found.setdefault(node.name, []).append(node)
                found[f"{path.stem}.{node.name}"] = [node]
    return found


CLASSES, FUNCTIONS = defined(ast.ClassDef), defined(ast.FunctionDef)


def named(name, path):
    """Return the class that a file calls so: its own, that of the module it names, or the only one of that name."""
    last = name.rpartition(".")[2]
    found = CLASSES.get(f"{path.stem}.{last}") or CLASSES.get(name) or CLASSES.get(last) or []
    return found[0] if found else None


def lineage(node):
    """Yield a class and those above it, of the plugins."""
    while node is not None:
        yield node
        above = [CLASSES[name][0] for name in (ast.unparse(base).rpartition(".")[2] for base in node.bases) if name in CLASSES]
        node = above[0] if above else None


def is_error(node):
    return any(ast.unparse(base) in ("Exception", "ValueError") for one in lineage(node) for base in one.bases)


def has_next_step(node):
    """Tell whether each error of a class has a next step, whatever it is raised with."""
    return any(
        isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "next_step" and ast.unparse(line.value) != "''"
        for one in lineage(node)
        for line in one.body
    )


def is_given_one(node, call):
    """Tell whether a class takes a next step, or (what was refused, next step) of several, and this call gives one."""
    made = next((line for one in lineage(node) for line in one.body if getattr(line, "name", "") == "__init__"), None)
    takes = made is not None and "next_step" in ast.unparse(made)
    return takes and (len(call.args) > 1 or made.args.args[1].arg == "refused")


def says_next(expression, function, seen=()):
    """Tell whether a text says `Next: `: itself, by a name given in the function around it, or by a function that makes it."""
    text = ast.unparse(expression)
    if "Next: " in text or "_failure.message(" in text:  # that takes the error's own
        return True
    names = {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}
    given = [
        line.value
        for line in ast.walk(function or ast.Module([], []))
        if isinstance(line, (ast.Assign, ast.AugAssign))
        and names & {ast.unparse(one) for one in getattr(line, "targets", None) or [line.target]}
    ]
    calls = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(expression) if isinstance(node, ast.Call)}
    made = [one for name in calls - set(seen) for one in FUNCTIONS.get(name, ())]
    return any(says_next(value, None, seen) for value in given) or any(
        says_next(ast.Module(one.body, []), None, (*seen, one.name)) for one in made
    )


def around(path, node):
    """Return the innermost function that a node stands in."""
    holders = [one for one in ast.walk(tree(path)) if isinstance(one, ast.FunctionDef) and node in ast.walk(one)]
    return min(holders, key=lambda one: one.end_lineno - one.lineno) if holders else None


def endings():
    """Yield (file, node, class or None, what is said) of each place that raises an error of ours or ends a task."""
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func)
                found = named(name, path)
                if name in ENDS or (found and is_error(found)):
                    yield path, node, found, node.exc
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("fail_json", "result.update")):
                given = {one.arg: one.value for one in node.keywords}
                if "msg" in given:
                    yield path, node, None, given["msg"]


ENDINGS = list(endings())


def label(ending):
    path, node, _found, _said = ending
    return f"{place(path)}:{node.lineno}"


def passes_on(path, said):
    text = ast.unparse(said.args[0] if isinstance(said, ast.Call) and said.args and not is_text(path, said) else said)
    return (place(path), text)


def is_text(path, said):
    """Tell whether what is said is a text, not the error that is made of one."""
    name = ast.unparse(said.func)
    return not (name in ENDS or named(name, path))


@pytest.mark.parametrize("ending", ENDINGS, ids=label)
def test_whatever_ends_a_task_says_what_to_do_next(ending):
    path, node, found, said = ending
    name = ast.unparse(node.exc.func) if isinstance(node, ast.Raise) else ""
    if name in INSIDE or f"{path.stem}.{name}" in INSIDE or passes_on(path, said) in PASSED_ON:
        return
    if found is not None and (has_next_step(found) or is_given_one(found, said)):
        return
    assert says_next(said, around(path, node)), f"{label(ending)} says no `Next: `: {ast.unparse(said)}"


def test_no_exception_is_there_for_nothing():
    raised = {ast.unparse(node.exc.func) for _path, node, _found, _said in ENDINGS if isinstance(node, ast.Raise)}
    assert {name.rpartition(".")[2] for name in INSIDE} <= raised
    assert set(PASSED_ON) <= {passes_on(path, said) for path, _node, _found, said in ENDINGS}


def test_there_is_something_to_judge():
    assert len(ENDINGS) > 100
    assert {"fail_json", "AnsibleActionFail", "StoreError", "KubeNotYet"} <= set(
        re.findall(r"\w+", " ".join(ast.unparse(getattr(node, "exc", node)) for _path, node, _found, _said in ENDINGS))
    )


def is_bare(expression, function):
    """Tell whether a text names nothing of the case at hand: it is the same whoever and wherever it is about."""
    if isinstance(expression, ast.Name):  # what it was given last
        given = [
            line
            for line in ast.walk(function or ast.Module([], []))
            if isinstance(line, ast.Assign) and line.lineno < expression.lineno
            if expression.id in map(ast.unparse, line.targets)
        ]
        return bool(given) and is_bare(max(given, key=lambda line: line.lineno).value, None)
    return isinstance(expression, ast.Constant)


def test_why_a_step_of_etcd_cannot_be_taken_names_who_or_where():
    """What a StepFailed says, or a Move that refuses and so becomes one."""
    reasons = [
        (f"{place(path)}:{node.lineno}", path, node, node.args[0 if name == "StepFailed" else 1])
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        for name in [ast.unparse(node.func).rpartition(".")[2]]
        if name == "StepFailed" or (name == "Move" and node.args and ast.unparse(node.args[0]).endswith("REFUSE"))
    ]
    assert [where for where, path, node, said in reasons if is_bare(said, around(path, node))] == []
    assert len(reasons) > 15


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("raise StepFailed('nobody can lead', 'bring one back')", True),
        ("raise StepFailed(f'{name} leads alone', 'bring one back')", False),
        ("raise StepFailed(str(result), 'look')", False),
        ("said = f'{name}'\nsaid = 'nobody can lead'\nraise StepFailed(said, 'look')", True),
        ("said = 'nobody can lead'\nsaid = f'{name}'\nraise StepFailed(said, 'look')", False),
    ],
)
def test_a_reason_that_names_nobody_is_found(text, bare):
    module = ast.parse(text)
    assert is_bare(module.body[-1].exc.args[0], module) is bare


# Ids that no person reads: {(file, what is put into a text): what it is for}.
UNREAD = {
    ("module_utils/_join_order.py", "member.id"): "a zone of its own",
    ("module_utils/_quorum.py", "int(member_id)"): "hex_id itself",
    ("module_utils/_membership.py", "member.id"): "etcd's own reading, ETCD_INITIAL_CLUSTER",
}


def test_ids_of_etcd_members_are_said_as_etcdctl_takes_them():
    """In hexadecimal, by _quorum.hex_id; etcd's JSON gateway tells them in decimal."""
    raw = set()
    for path in FILES:
        for node in ast.walk(tree(path)):
            text = ast.unparse(node.value) if isinstance(node, ast.FormattedValue) else ""
            if re.search(r"\.id\b|\bmember_id\b", text) and not re.search(r"\b(hex_id|removal)\(", text):
                raw.add((place(path), text))
    assert raw == set(UNREAD)


DOCS = PLUGINS.parent
PAGE = re.compile(r"docs/[\w./-]*\.md")
PLACE = re.compile(rf"({PAGE.pattern}), (?:(?:section|step) (\d+)|\"([^\"]+)\")")


def pages():
    """Return {name: page} of the constants that name a page of the documentation."""
    found = {}
    for path in FILES:
        for line in tree(path).body:
            value = getattr(line, "value", None)
            if isinstance(line, ast.Assign) and isinstance(value, ast.Constant) and PAGE.fullmatch(str(value.value)):
                found.update({ast.unparse(one): value.value for one in line.targets})
    return found


def texts(module, named):
    """Yield each text of a module, with the pages that it names by a constant."""
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else named.get(ast.unparse(part.value).rpartition(".")[2], "{}")
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def missing(text):
    """Return the pages, and the places on them, that a text names and that are not there."""
    gone = [page for page in PAGE.findall(text) if not (DOCS / page).is_file()]
    for page, number, title in PLACE.findall(text):
        heading = rf"^## {number}\. " if number else rf"^## {re.escape(title)}$"
        if page not in gone and not re.search(heading, (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE):
            gone.append(f"{page}, {number or title}")
    return gone


def test_a_page_that_is_named_is_there_with_the_section_that_is_named():
    named = pages()
    told = {(place(path), text) for path in FILES for text in texts(tree(path), named) if "docs/" in text}
    assert [(where, gone) for where, text in sorted(told) for gone in missing(text)] == []
    assert len({page for _where, text in told for page in PAGE.findall(text)}) > 5
    assert len([text for _where, text in told if PLACE.search(text)]) > 5


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("see docs/runbooks/quorum-at-risk.md", []),
        ("see docs/runbooks/quorum-at-hand.md, section 4", ["docs/runbooks/quorum-at-hand.md"]),
        ("(docs/runbooks/quorum-at-risk.md, section 6)", []),
        ("(docs/runbooks/quorum-at-risk.md, section 66)", ["docs/runbooks/quorum-at-risk.md, 66"]),
        ('(docs/operations/rotate-authority.md, "When it cannot be rotated")', []),
        ('(docs/operations/rotate-authority.md, "When")', ["docs/operations/rotate-authority.md, When"]),
    ],
)
def test_a_page_or_a_section_that_is_not_there_is_found(text, gone):
    assert missing(text) == gone


def test_pages_that_a_constant_names_are_found_in_texts():
    assert pages()["AT_RISK_RUNBOOK"] == "docs/runbooks/quorum-at-risk.md"
    made = ast.parse('f"see {_quorum.AT_RISK_RUNBOOK}, section {number}" f" of {other}"')
    assert "see docs/runbooks/quorum-at-risk.md, section {} of {}" in set(texts(made, pages()))


ARP = "module_utils/_arp.py"


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("raise StoreError('it is gone')", False),
        ("raise StoreError('it is gone. Next: restore it')", True),
        ("raise StoreError(not_found(path, name))", True),
        ("raise EndpointError('it is gone')", False),
        ("raise EndpointError('it is gone', 'look')", True),
        ("raise ArpError('it is gone')", True),
    ],
)
def test_the_rule_finds_what_it_is_for(text, fine):
    call = ast.parse(text).body[0].exc
    found = named(ast.unparse(call.func), PLUGINS / ARP)
    assert (has_next_step(found) or is_given_one(found, call) or says_next(call, None)) is fine
