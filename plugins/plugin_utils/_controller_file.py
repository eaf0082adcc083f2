# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a file on the controller so that whoever reads it finds the old text or the new one, never half of it.

It is written by the process that runs the playbook, as its own user, never by a module: a task for localhost would become
whoever the hosts' tasks become. Leaves out: files on hosts (``_files``), where the temporary name is fixed, since one run at a
time is there. Here runs may meet, so each has a name of its own.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile


def private_folder(path):
    """Have a folder that only its owner opens and this process writes to. OSError when that cannot be."""
    os.makedirs(path, 0o700, exist_ok=True)
    if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        os.chmod(path, 0o700)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def replace(path, text, mode):
    """Put a text in place: a new file of this mode beside it, fsync, rename. OSError when that fails; then all is as it was."""
    replace_by(path, (text.encode("utf-8"),), mode)


def replace_by(path, pieces, mode):
    """Put bytes in place, likewise, which come piece by piece; whatever getting them raises leaves all as it was too."""
    path = os.path.abspath(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path))
    try:
        with open(handle, "wb") as out:
            for piece in pieces:
                out.write(piece)
            out.flush()
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
