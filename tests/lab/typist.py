# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer the questions of a run as a person at a terminal does: each when it is asked; Ansible drops what was typed before."""

from __future__ import annotations

import fcntl
import os
import pty
import termios
from collections.abc import Sequence
from pathlib import Path

ASKED = "anything else to stop"  # what every question of ours ends with (playbooks/phases)


class Typist:
    """Hold a terminal for a run's input and the answers to type on it; who has no more of them types nothing but Enter."""

    def __init__(self, answers: Sequence[str], log: Path):
        """Take the answers in their order, and the file of the run's output."""
        self.answers, self.log, self.given = list(answers), log, 0
        self.hand, self.terminal = pty.openpty()

    @staticmethod
    def take_terminal() -> None:
        """Make the input the controlling terminal of the run, in the run's process: without one Ansible asks nobody."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def look(self) -> None:
        """Type the next answer when a question is open."""
        if self.log.read_text(errors="replace").count(ASKED) > self.given:
            os.write(self.hand, f"{self.answers.pop(0) if self.answers else ''}\r".encode())
            self.given += 1

    def close(self) -> None:
        """Put the terminal away."""
        os.close(self.hand)
        os.close(self.terminal)
