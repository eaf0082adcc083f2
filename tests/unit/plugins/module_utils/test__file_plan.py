# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the decision what has to be done to a set of files."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _file_plan as plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils._file_plan import Present, Wanted

FILE = Wanted("/etc/x/a", "file", b"new", 0o600)
FOLDER = Wanted("/etc/x", "directory", mode=0o755)
LINK = Wanted("/etc/x/l", "link", target="/opt/a")
GONE = Wanted("/etc/x/old", "absent")


@pytest.mark.parametrize(
    ("wanted", "present", "action", "reason"),
    [
        (FILE, Present(), "write", "missing"),
        (FILE, Present("file", b"new", 0o600), "none", "right"),
        (FILE, Present("file", b"old", 0o600), "write", "content"),
        (FILE, Present("file", b"new", 0o644), "adjust", "mode"),
        (FILE, Present("file", b"new", 0o600, uid=7), "adjust", "owner"),
        (FILE, Present("file", b"new", 0o640, uid=7, gid=8), "adjust", "mode, owner, group"),
        (FILE, Present("link", target="/etc/x/b"), "write", "a symbolic link stands there"),
        (FILE, Present("directory", mode=0o755), "refuse", None),
        (FILE, Present("other"), "refuse", None),
        (FOLDER, Present(), "mkdir", "missing"),
        (FOLDER, Present("directory", mode=0o755), "none", "right"),
        (FOLDER, Present("directory", mode=0o700), "adjust", "mode"),
        (FOLDER, Present("file"), "refuse", None),
        (FOLDER, Present("link"), "refuse", None),
        (LINK, Present(), "link", "missing"),
        (LINK, Present("link", target="/opt/a", uid=5), "none", "right"),
        (LINK, Present("link", target="/opt/b"), "link", "points elsewhere"),
        (LINK, Present("file", b"x"), "link", "a file stands there"),
        (LINK, Present("directory"), "refuse", None),
        (GONE, Present(), "none", "right"),
        (GONE, Present("file"), "remove", "a file stands there"),
        (GONE, Present("link", target="/x"), "remove", "a link stands there"),
        (GONE, Present("directory"), "remove", "a directory stands there"),
        (GONE, Present("directory", mounts=("/etc/x/old/m",)), "refuse", None),
    ],
)
def test_each_state_leads_to_one_step(wanted, present, action, reason):
    step = plan.decide(wanted, present)
    assert step.action == action and (reason is None or step.reason == reason)
    assert step.changed is (action not in ("none", "refuse"))
    assert reason is not None or wanted.path in step.reason


@pytest.mark.parametrize("path", ["//etc/x/y", "etc/x/y", "/x", "//x", "x", ""])
def test_the_way_up_from_any_path_ends(path):
    assert all(path.startswith(above) for above in plan.parents([Wanted(path, "file")]))


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([Wanted("etc/x", "file")], "not an absolute"),
        ([Wanted("/etc/../x", "file")], "not an absolute"),
        ([Wanted("/etc/x/", "file")], "not an absolute"),
        ([Wanted("//etc/x", "file")], "not an absolute"),
        ([Wanted("//etc", "absent")], "not an absolute"),
        ([FILE, FILE], "asked for twice"),
        ([FILE, Wanted("/etc/x/a", "absent")], "asked for twice"),
        ([FILE, Wanted("/etc/x", "absent")], "wanted inside /etc/x"),
        ([Wanted("/etc/l", "link")], "needs a target"),
        ([Wanted("/etc/a", "file", validate=("visudo", "-c"))], "needs %s"),
        ([Wanted("/etc", "absent")], "never removed"),
        ([Wanted("/", "absent")], "never removed"),
        ([Wanted("/var/lib", "absent")], "never removed"),
        ([Wanted("/etc/systemd/system", "absent")], "never removed"),
    ],
)
def test_impossible_and_dangerous_sets_are_refused(items, said):
    assert any(said in finding for finding in plan.findings(items))


def test_removing_node1_leaves_node10_alone():
    assert plan.findings([Wanted("/etc/x/node1", "absent"), Wanted("/etc/x/node10", "file")]) == []


def test_all_findings_are_said_at_once_and_nothing_is_planned():
    with pytest.raises(plan.PlanError) as error:
        plan.plan([Wanted("a", "file"), FILE, LINK], {"/etc/x/a": Present("directory")})
    assert "nothing was changed" in str(error.value)
    assert "'a' is not" in str(error.value) and "/etc/x/a is a directory" in str(error.value)


def test_missing_accounts_are_findings_only_outside_check_mode():
    items = [Wanted("/etc/x/a", "file", uid=None, owner="etcd", gid=None, group="etcd")]
    with pytest.raises(plan.PlanError, match=r"no user 'etcd'.*no group 'etcd'"):
        plan.plan(items, {})
    assert plan.plan(items, {}, check=True)[0].action == "write"


def test_folders_come_first_from_the_top_and_removals_last():
    items = [GONE, LINK, FILE, Wanted("/etc/y/deep", "directory"), Wanted("/etc/y", "directory")]
    assert [step.wanted.path for step in plan.plan(items, {})] == ["/etc/y", "/etc/y/deep", "/etc/x/a", "/etc/x/l", "/etc/x/old"]


def test_parents_are_those_nobody_listed():
    assert plan.parents([FILE, Wanted("/opt/a/b/c", "link", target="x"), GONE, Wanted("/opt/a", "directory")]) == [
        "/etc",
        "/opt",
        "/etc/x",
        "/opt/a/b",
    ]


@pytest.mark.parametrize(("text", "mode"), [("0600", 0o600), ("0755", 0o755), ("1777", 0o1777), ("02755", 0o2755)])
def test_modes_are_octal(text, mode):
    assert plan.parse_mode(text) == mode


@pytest.mark.parametrize("text", ["600", "384", "0o600", "u=rw", "0800", "", "06000 "])
def test_other_modes_are_refused(text):
    with pytest.raises(plan.PlanError, match="four octal digits"):
        plan.parse_mode(text)


def test_diffs_show_no_private_keys_and_what_is_no_text():
    def shown(content, **more):
        steps = [plan.decide(Wanted("/etc/x/a", "file", b"new", 0o600, **more), Present("file", content, 0o600))]
        return [entry["before"] for entry in plan.diffs(steps)]

    assert shown(b"-----BEGIN EC PRIVATE KEY-----\nabc") == ["(a private key, not shown)\n"]
    assert shown(b"a\0b") == ["(3 bytes, not shown)\n"]
    assert shown(b"a" * (plan.DIFF_LIMIT + 1)) == [f"({plan.DIFF_LIMIT + 1} bytes, not shown)\n"]
    assert shown(b"a" * plan.DIFF_LIMIT) == ["a" * plan.DIFF_LIMIT]


@pytest.mark.parametrize(
    ("present", "before", "after"),
    [
        (Present(), "", "(not shown)\n"),
        (Present("link", target="/etc/x/b"), "(a link to /etc/x/b)\n", "(not shown)\n"),
        (Present("file", b"old", 0o600), "(not shown)\n", "(changed, not shown)\n"),
        (
            Present("file", b"new", 0o644),
            "state: file\nmode: 0644\nowner: 0\ngroup: 0\n",
            "state: file\nmode: 0600\nowner: root\ngroup: root\n",
        ),
    ],
)
def test_of_a_secret_a_diff_says_only_that_it_changes(present, before, after):
    (entry,) = plan.diffs([plan.decide(Wanted("/etc/x/a", "file", b"new", 0o600, secret=True), present)])
    assert (entry["before"], entry["after"]) == (before, after)


def test_diffs_of_attributes_name_accounts():
    step = plan.decide(FOLDER, Present("directory", mode=0o700, uid=7, gid=8))
    (entry,) = plan.diffs([step], {("user", 7): "etcd"})
    assert entry["before"] == "state: directory\nmode: 0700\nowner: etcd\ngroup: 8\n"
    assert entry["after"] == "state: directory\nmode: 0755\nowner: root\ngroup: root\n"


def test_a_removed_file_is_not_shown():
    (entry,) = plan.diffs([plan.decide(GONE, Present("file", b"was secret"))])
    assert (entry["before"], entry["after"]) == ("state: file\n", "state: absent\n")


@pytest.mark.parametrize("said", ["value abcdefgh12345 is wrong", "line: token: abcdefgh12345"])
def test_words_of_a_secret_are_masked_in_what_a_validator_says(said):
    assert "abcdefgh12345" not in plan.redact(said, b'{"token": "abcdefgh12345"}\nline: token: abcdefgh12345\n')


def test_a_wanted_file_never_prints_its_content():
    assert "new" not in repr(FILE) and "old" not in repr(Present("file", b"old"))


def test_what_the_cluster_owns_below_the_first_level_may_go():
    assert plan.findings([Wanted("/etc/kubernetes", "absent"), Wanted("/var/lib/etcd", "absent")]) == []


def test_short_words_of_a_secret_do_not_tear_a_message_apart():
    assert plan.redact("at line 3: expected a", b"a\nline\n3\n") == "at line 3: expected a"
    assert plan.redact("got secret", b"secret\n") == "got ********"


def test_a_replaced_link_is_shown_as_one():
    (entry,) = plan.diffs([plan.decide(FILE, Present("link", target="/etc/x/b"))])
    assert (entry["before"], entry["after"]) == ("(a link to /etc/x/b)\n", "new")
