# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data as the text that services read."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _rendering
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1.5, "1.5"),
        ("", ""),
        ("True", "True"),
        ([], ""),
        (["b", "a", True, 1], "b,a,true,1"),
        (("x",), "x"),
        ({"b": False, "a": 1}, "a=1,b=false"),
        ({"a": ["x", "y"]}, "a=x,y"),
        ({}, ""),
    ],
)
def test_the_value_of_a_flag(value, text):
    assert _rendering.flag_value(value) == text


def test_a_command_line_is_sorted_one_flag_a_line_and_without_those_that_are_switched_off():
    flags = {"v": 2, "name": "m1", "off": None, "empty": "", "auth": True}
    text = "/usr/bin/etcd \\\n  --auth=true \\\n  --empty= \\\n  --name=m1 \\\n  --v=2"
    assert _rendering.command_line("/usr/bin/etcd", flags) == text
    assert _rendering.command_line("/usr/bin/etcd", dict(reversed(flags.items()))) == text
    assert _rendering.command_line("/usr/bin/flanneld", {"iface": "eth0"}, prefix="-") == "/usr/bin/flanneld \\\n  -iface=eth0"
    assert _rendering.command_line("/usr/bin/etcd", {}) == "/usr/bin/etcd"


EXTRA = {
    "nothing": (None, "--feature-gates=B=true,A=true", "--v=2"),
    "nothing at all": ({}, "--feature-gates=B=true,A=true", "--v=2"),
    "another value and another flag": ({"v": 4, "x": True}, "--feature-gates=B=true,A=true", "--v=4", "--x=true"),
    "a flag that is left out": ({"v": None}, "--feature-gates=B=true,A=true"),
    "gates of theirs": ({"feature-gates": "C=true"}, "--feature-gates=B=true,A=true,C=true", "--v=2"),
    "gates as a dictionary": (
        {"feature-gates": {"D": False, "C": True, "A": False}},
        "--feature-gates=B=true,A=false,C=true,D=false",
        "--v=2",
    ),
    "gates as a list": ({"feature-gates": ["D=true", "C=true"]}, "--feature-gates=B=true,A=true,D=true,C=true", "--v=2"),
    "gates that are left out, ours too": ({"feature-gates": None}, "--v=2"),
}


@pytest.mark.parametrize("name", EXTRA)
def test_flags_of_the_users_replace_ours_but_feature_gates_go_beside_ours(name):
    extra, *words = EXTRA[name]
    flags = {"v": 2, "feature-gates": "B=true,A=true"}
    assert _rendering.command_line("/p", flags, extra=extra) == " \\\n  ".join(["/p", *words])
    assert flags == {"v": 2, "feature-gates": "B=true,A=true"}, "what is handed over stays as it is"


def test_gates_of_one_side_alone_are_as_they_were_written():
    theirs = {"feature-gates": "kube:B=true, A=x"}
    assert _rendering.command_line("/p", {}, extra=theirs) == '/p \\\n  "--feature-gates=kube:B=true, A=x"'
    assert _rendering.command_line("/p", {"feature-gates": None}, extra={"feature-gates": "A=true"}).endswith("=A=true")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("50%", "--x=50%%"),
        ("a b", '"--x=a b"'),
        ("5% of all", '"--x=5%% of all"'),
        ('say "no" twice', '"--x=say \\"no\\" twice"'),
        ('"', '"--x=\\""'),
        ("it's", '"--x=it\'s"'),
        ("//example\\.com$", "--x=//example\\\\.com$$"),
        ("${HOME}", "--x=$${HOME}"),
        ("\\s d", '"--x=\\\\s d"'),
        ("two\nlines\tand", '"--x=two\\nlines\\tand"'),
        ("a,b=c;d#e", "--x=a,b=c;d#e"),
        ({"oidc": "a b", "b": "50%"}, '"--x=b=50%%,oidc=a b"'),
    ],
)
def test_a_value_that_systemd_would_read_otherwise_is_escaped(value, word):
    assert _rendering.command_line("/p", {"x": value}) == f"/p \\\n  {word}"


def received(text):
    """Return the words a program receives, by systemd.syntax(7) and systemd.service(5), from quotes to variables."""
    plain = {"\\n": "\n", "\\t": "\t", "\\\\": "\\", '\\"': '"'}
    words = []
    for quoted, bare in re.findall(r'"((?:[^"\\]|\\.)*)"(?=\s|$)|([^\s"\']+)', text.replace("\\\n", " ")):
        word = re.sub(r"\\.", lambda found: plain[found.group()], quoted or bare)
        assert not re.search(r"(?<!%)(%%)*%(?!%)", word), "a specifier"
        word = word.replace("%%", "%")
        assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", word), "a variable"
        words.append(word.replace("$$", "$"))
    return words


@given(st.dictionaries(st.sampled_from("abc"), st.text("a1 \"'\\$%{}\n\t=;#", max_size=8)))
def test_a_program_receives_what_was_given(flags):
    words = received(_rendering.command_line("/p", flags))
    assert words == ["/p", *(f"--{name}={value}" for name, value in sorted(flags.items()))]


def test_a_unit_keeps_the_callers_order_repeats_lists_and_leaves_out_what_is_none():
    sections = {
        "Unit": {"Description": "x y", "After": ["b.service", "a.service"], "Wants": None},
        "Service": {"Restart": "always", "RemainAfterExit": True, "ExecStartPre": [None, "/bin/true"], "Environment": []},
        "Install": {},
    }
    assert _rendering.unit_file(sections) == (
        "[Unit]\nDescription=x y\nAfter=b.service\nAfter=a.service\n\n"
        "[Service]\nRestart=always\nRemainAfterExit=true\nExecStartPre=/bin/true\n\n"
        "[Install]\n"
    )


@pytest.mark.parametrize(
    ("more", "user"),
    [
        ({"cert": "/x.crt", "key": "/x.key"}, {"client-certificate": "/x.crt", "client-key": "/x.key"}),
        ({"token": "abcdef.0123"}, {"token": "abcdef.0123"}),
        ({"cert": "/x.crt", "key": "/x.key", "token": "abcdef.0123"}, {"token": "abcdef.0123"}),
    ],
    ids=["a certificate", "a token", "the token counts"],
)
def test_a_kubeconfig_names_files_or_a_token_and_holds_no_key(more, user):
    made = _rendering.kubeconfig("https://m1:6443", "kubelet", "/ca.crt", **more)
    assert made["users"] == [{"name": "kubelet", "user": user}]
    cluster = {"server": "https://m1:6443", "certificate-authority": "/ca.crt"}
    assert made["clusters"] == [{"name": "multimaster", "cluster": cluster}]
    assert made["contexts"] == [{"name": made["current-context"], "context": {"cluster": "multimaster", "user": "kubelet"}}]
    assert "-data" not in json.dumps(made)


def test_a_kubeconfig_may_name_its_cluster():
    made = _rendering.kubeconfig("https://m1:6443", "me", "/ca.crt", "/x.crt", "/x.key", cluster="prod")
    assert {made["clusters"][0]["name"], made["contexts"][0]["context"]["cluster"]} == {"prod"}


def test_objects_of_nodes_say_nothing_but_their_labels():
    assert _rendering.node_objects([], {"a": "b"}) == []
    assert _rendering.node_objects(["m1", "m2"], {"a": "b"}) == [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"a": "b"}}} for name in ("m1", "m2")
    ]
