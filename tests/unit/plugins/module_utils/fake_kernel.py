# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a kernel: a folder with /proc, /sys and /etc, and what modprobe and swapoff do to it."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command


class Machine:
    """A folder with /proc, /sys and /etc, and what modprobe and swapoff do to it."""

    def __init__(self, root):
        self.root, self.calls, self.refuses = root, [], ()
        for folder in ("proc/sys/net/ipv4", "sys/module", "etc", "lib/modules/6.1.0"):
            (root / folder).mkdir(parents=True)
        (root / "proc/modules").write_text("")
        (root / "proc/swaps").write_text("Filename Type Size Used Priority\n")
        (root / "proc/sys/net/ipv4/ip_forward").write_text("0\n")

    def __call__(self, argv, timeout):
        self.calls.append(argv)
        if argv[0] in self.refuses:
            return _command.Result(tuple(argv), 1, "", f"{argv[0]}: Operation not permitted")
        if argv[0] == "modprobe":
            with open(self.root / "proc/modules", "a") as handle:
                handle.write(argv[2] + " 1 0 - Live 0x0\n")
        if argv[0] == "swapoff":
            (self.root / "proc/swaps").write_text("Filename Type Size Used Priority\n")
        return _command.Result(tuple(argv), 0)
