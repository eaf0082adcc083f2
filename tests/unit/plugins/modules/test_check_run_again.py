# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that lie about check mode, in each way that the proof has to see."""

from __future__ import annotations

import pytest
from ansible.module_utils.basic import AnsibleModule


class Played:
    """A module that writes one file and asks one service, unless it is told to lie; it is its own service."""

    def __init__(self, file, lie=""):
        self.file, self.lie, self.kept, self.runs = file, lie, [], 0

    def main(self):
        module = AnsibleModule({}, supports_check_mode=True)
        self.runs += 1
        missing = not self.file.exists()
        getattr(self, self.lie, lambda _check: None)(module.check_mode)
        if missing and not module.check_mode:
            self.file.write_text("x")
            self.kept.append("x")
        changed = missing != (self.lie == "silent" and module.check_mode)
        module.exit_json(changed=changed or self.lie == "restless")

    def writes(self, check):
        if check:
            self.file.write_text("x")

    def writes_and_removes(self, check):
        if check:
            self.file.write_text("x")
            self.file.unlink()

    def opens(self, check):
        if check:
            self.file.parent.chmod(0o777)

    def asks(self, check):
        if check:
            self.kept.append("x")

    def rewrites(self, check):
        if self.runs > 2:
            self.file.unlink()
            self.file.write_text("x")

    def asks_again(self, check):
        if self.runs > 2:
            self.kept.append("x")


def test_a_module_that_keeps_its_promise_passes(check_run_again, world, tmp_path):
    played = Played(tmp_path / "file")
    world.watch(lambda: list(played.kept))
    assert [result["changed"] for result in check_run_again(played, {})] == [True, True, False]


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ("writes", "a check writes nothing"),
        ("writes_and_removes", "a check writes nothing"),
        ("opens", "a check writes nothing"),
        ("asks", "a check writes nothing"),
        ("rewrites", "a second run writes nothing"),
        ("asks_again", "a second run writes nothing"),
        ("silent", "False, True, False"),
        ("restless", "True, True, True"),
    ],
)
def test_every_lie_is_seen(check_run_again, world, tmp_path, lie, said):
    played = Played(tmp_path / "file", lie)
    world.watch(lambda: list(played.kept))
    with pytest.raises(AssertionError, match=said):
        check_run_again(played, {})


@pytest.mark.parametrize("lie", ["writes", "asks"])
def test_a_lonely_check_is_watched_too(call, world, tmp_path, lie):
    played = Played(tmp_path / "file", lie)
    world.watch(lambda: list(played.kept))
    with pytest.raises(AssertionError, match="a check writes nothing"):
        call(played, {}, check=True)


def test_a_world_that_nobody_watches_proves_nothing(check_run_again, tmp_path_factory):
    with pytest.raises(AssertionError, match="not watched"):
        check_run_again(Played(tmp_path_factory.mktemp("elsewhere") / "file"), {})


def test_what_only_reads_is_watched_in_a_run_too(only_reads, world, tmp_path):
    (tmp_path / "file").write_text("x")
    played = Played(tmp_path / "file")
    assert [result["changed"] for result in only_reads(played, {})] == [False] * 3
    with pytest.raises(AssertionError, match="only reads writes nothing"):
        only_reads(Played(tmp_path / "other"), {})
    with pytest.raises(AssertionError, match="changes nothing"):
        only_reads(Played(tmp_path / "file", "restless"), {})
