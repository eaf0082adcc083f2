# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How two releases are compared, on programs that answer like the real ones."""

from __future__ import annotations

import ast
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
import removed_flags

# Answers as kube-apiserver and etcd do; {flags}, {hidden}, {gates} and {locked} are filled in.
PROGRAM = """#!{python}
import sys
flags, hidden, gates, locked, name = {flags!r}, {hidden!r}, {gates!r}, {locked!r}, {name!r}
for argument in sys.argv[1:]:
    flag, _, value = argument.lstrip("-").partition("=")
    if flag == "help":
        print("Usage: that --nothing is\\n" + "\\n".join("  -v, --" + one + " string   what --it-is" for one in flags))
        print("\\n".join("   kube:" + one + "=true|false (BETA - default=true)" for one in gates if one not in locked))
    elif flag == "version":
        print("Kubernetes v{version}" if name != "etcd" else "etcd Version: {version}\\nGo Version: go1.26.0")
    elif flag == "feature-gates":
        said = []
        for pair in value.split(","):
            gate, _, setting = pair.partition("=")
            if gate not in gates:
                said.append("unrecognized feature gate: " + gate)
            elif locked.get(gate, setting) != setting:
                said.append("cannot set feature gate " + gate + " to " + setting + ", feature is locked to " + locked[gate])
        if said:
            sys.exit("failed: [" + ", ".join(said[:1] if name == "etcd" else said) + "]")
    elif flag not in flags and flag not in hidden:
        sys.exit("Error: unknown flag: --" + flag)
"""


def program(folder, name, version, flags=(), hidden=(), gates=(), locked=None):
    folder.mkdir(exist_ok=True)
    path = folder / name
    values = {"flags": flags, "hidden": hidden, "gates": gates, "locked": locked or {}, "name": name, "version": version}
    path.write_text(PROGRAM.format(python=sys.executable, **values), encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def releases(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    program(old, "kube-apiserver", "1.36.3", ("stays", "goes"), ("kubelet-port",), ("Goes", "Locks", "Was"), {"Was": "true"})
    program(new, "kube-apiserver", "1.37.2", ("stays", "comes"), (), ("Comes", "Locks", "Was"), {"Locks": "true", "Was": "true"})
    program(old, "etcd", "3.6.16", ("experimental-it",), (), ("ThatGoes", "Stays"))
    program(new, "etcd", "3.7.3", (), (), ("Stays",))
    program(new, "kubelet", "1.37.2", ("only-here",))
    return old, new


def test_what_goes_comes_and_is_locked(releases):
    found = {(table, key): names for table, key, _line, names in removed_flags.compare(*releases)}
    assert found == {
        ("FLAGS_GONE", "kube-apiserver"): ("goes", "kubelet-port"),
        ("FLAGS_ADDED", "kube-apiserver"): ("comes",),
        ("GATES_GONE", "kubernetes"): ("Goes",),
        ("GATES_ADDED", "kubernetes"): ("Comes",),
        ("GATES_LOCKED", "kubernetes"): {"Locks": True},
        ("FLAGS_GONE", "etcd"): ("experimental-it",),
        ("FLAGS_ADDED", "etcd"): (),
        ("GATES_GONE", "etcd"): ("ThatGoes",),
        ("GATES_ADDED", "etcd"): (),
        ("GATES_LOCKED", "etcd"): {},
    }


def test_what_is_printed_is_python_and_empty_rows_are_left_out(releases, capsys):
    removed_flags.main([str(path) for path in releases])
    tree = ast.parse(capsys.readouterr().out)
    tables = {statement.targets[0].id: ast.literal_eval(statement.value) for statement in tree.body}
    assert tables["FLAGS_GONE"] == {"kube-apiserver": {(1, 37): ("goes", "kubelet-port")}, "etcd": {(3, 7): ("experimental-it",)}}
    assert tables["GATES_LOCKED"] == {"kubernetes": {(1, 37): {"Locks": True}}}


def test_two_folders_are_needed():
    with pytest.raises(SystemExit, match="Usage"):
        removed_flags.main(["one"])
