# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a file on the controller so that whoever reads it finds the old text or the new one, never half of it.

Leaves out: files on hosts (``_files``), where the temporary name is fixed, since one run at a time is there. Here runs may meet,
so each has a name of its own.
"""

from __future__ import annotations

import os
import tempfile


def replace(path, text, mode):
    """Put a text in place: a new file of this mode beside it, fsync, rename. OSError when that fails; then all is as it was."""
    path = os.path.abspath(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path))
    try:
        with open(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
