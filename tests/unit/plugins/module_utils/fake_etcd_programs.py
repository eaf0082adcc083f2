# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play etcd's programs by scripts: etcdctl tells a size and saves what it was asked, etcdutl tells what a copy holds."""

from __future__ import annotations

import json
import sys

TOLD = {"hash": 7, "revision": 42, "totalKey": 3, "totalSize": 20480, "version": "3.6.0"}


def install(folder, ctl=0, utl=None, code=0):
    """Make the two programs in a folder; `utl` is what etcdutl tells, `ctl` and `code` are how they end."""
    folder.mkdir(exist_ok=True)
    answer = utl if isinstance(utl, str) else json.dumps(TOLD if utl is None else utl)
    write = "open(sys.argv[-1], 'w').write(' '.join(sys.argv[1:-1]))"
    size = json.dumps([{"Endpoint": "m1", "Status": {"dbSize": TOLD["totalSize"]}}])
    status = f"if 'status' in sys.argv: sys.exit(print({size!r}))"
    save = f"{status}\nif not {ctl}: {write}\nsys.stderr.write('no leader')\nsys.exit({ctl})"
    for name, text in (("etcdctl", save), ("etcdutl", f"print({answer!r})\nsys.exit({code})")):
        program = folder / name
        program.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
        program.chmod(0o755)
    return str(folder)
