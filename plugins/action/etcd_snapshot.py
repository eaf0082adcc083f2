# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save what etcd holds on a host and bring a copy to the controller, piece by piece.

`fetch` reads a file that only root may read as a whole into the memory of the host and of the controller; here no more than
one piece is held. What is written here is written by this process, never by a task for localhost, which would become root.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _failure
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _controller_file, _host_phase

MODULE = "multimaster.kubernetes.etcd_snapshot_file"
ARGUMENTS = {
    **_etcd.ARGUMENTS,
    "path": {"type": "str", "required": True},
    "programs": {"type": "str", "required": True},
    "controller_folder": {"type": "str", "default": ""},
}


class ActionModule(ActionBase):
    """Save, fetch, compare; only then the file is kept on the host."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Return where the copies are and what they hold."""
        super().run(tmp, task_vars)
        self._task_vars = task_vars
        _unused, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        path, wanted = args["path"], args["controller_folder"]
        folder = os.path.abspath(os.path.expanduser(wanted)) if wanted else ""
        copy = os.path.join(folder, os.path.basename(path)) if folder else ""
        given = {name: value for name, value in self._task.args.items() if name != "controller_folder"}
        if folder and not self._task.check_mode:
            with written(folder):
                _controller_file.private_folder(folder)  # before a host does anything for it
        saved = self._host("save", **given)
        if not self._task.check_mode:
            try:
                if copy:
                    self._fetch(path, copy, saved["size"], saved["sha256"])
                self._host("keep", path=path)
            except Exception:
                with contextlib.suppress(AnsibleError):  # what failed is told; the next try removes it as well
                    self._host("discard", path=path)
                raise
        return {"changed": True, "path": path, "controller_path": copy, "snapshot": saved["snapshot"]}

    def _fetch(self, path, copy, size, sha256):
        """Write the saved copy to a file here; AnsibleActionFail when it is not the same."""
        # -vvv shows what a host answers; these answers are all that the cluster holds.
        silent, self._play_context.no_log = self._play_context.no_log, True
        try:
            with written(copy):
                _controller_file.replace_by(copy, self._pieces(path, size, sha256), 0o600)
        finally:
            self._play_context.no_log = silent

    def _pieces(self, path, size, sha256):
        """Yield the saved copy piece by piece; AnsibleActionFail at the end when it is not what was saved."""
        offset, digest = 0, hashlib.sha256()
        while offset < size:
            piece = base64.b64decode(self._host("read", path=path, offset=offset)["content"])
            if not piece:
                break
            digest.update(piece)
            offset += len(piece)
            yield piece
        if (offset, digest.hexdigest()) != (size, sha256):
            raise AnsibleActionFail(
                f"the copy of etcd changed while it was fetched: {offset} of {size} bytes came, with the SHA-256 "
                f"{digest.hexdigest()}, expected {sha256}; it was not kept. Next: see that nothing else writes to "
                f"{os.path.dirname(path)}, then run again"
            )

    def _host(self, phase, **arguments):
        return _host_phase.run(self, MODULE, phase, self._task_vars, **arguments)


@contextlib.contextmanager
def written(path):
    """Have an error of the system say that it is the controller's, and what to do."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        raise AnsibleActionFail(
            f"the controller cannot keep its copy of etcd in {path}: {error.strerror}. Next: {_failure.remedy(error, place)}"
        ) from None
