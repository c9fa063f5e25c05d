# SPDX-License-Identifier: GPL-2.0
"""A boot's files."""

import types

import boot


def test_archive_is_gone_when_the_boot_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr(boot, "LOGS", tmp_path)
    target = types.SimpleNamespace(name="target", slower=1, boot_limit=1, machine="qemu")
    shell = boot.Boot(boot.Setup(target, None, b"archive", {}), [], None)
    (tmp_path / "target/shell").mkdir(parents=True)
    with shell._initrd(["all_clean"]) as initrd:
        assert initrd.read_bytes().startswith(b"archive")
    assert not initrd.exists()
