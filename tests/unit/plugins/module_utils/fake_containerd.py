# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play containerd as its program ctr shows it."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command

PAUSE = "registry.k8s.io/pause:3.10.2"


class Containerd:
    """Play ctr: an archive's content is the reference it carries."""

    def __init__(self):
        self.images, self.calls, self.up = ["docker.io/library/busybox:latest"], [], True

    def picture(self):
        """Return what a check must leave as it is: the images, and the calls that change something."""
        return list(self.images), [call for call in self.calls if call[6] != "ls"]

    def __call__(self, argv, timeout):
        self.calls.append(argv)
        if not self.up:
            return _command.Result(tuple(argv), 1, "", "ctr: failed to dial: connection refused")
        if argv[6] == "ls":
            return _command.Result(tuple(argv), 0, "\n".join(self.images) + "\n")
        try:
            with open(argv[7], encoding="utf-8") as handle:
                self.images.append(handle.read())
        except OSError as error:
            return _command.Result(tuple(argv), 1, "", f"ctr: {error.strerror}")
        return _command.Result(tuple(argv), 0)
