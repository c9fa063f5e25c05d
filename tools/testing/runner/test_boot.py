# SPDX-License-Identifier: GPL-2.0
"""A boot's files."""

import types

import pytest

import boot
import config
import qemu


def test_archive_is_gone_when_the_boot_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr(boot, "LOGS", tmp_path)
    target = types.SimpleNamespace(name="target", slower=1, boot_limit=1, machine="qemu")
    shell = boot.Boot(boot.Setup(target, None, b"archive", {}), [], None)
    (tmp_path / "target/shell").mkdir(parents=True)
    with shell._initrd(["all_clean"]) as initrd:
        assert initrd.read_bytes().startswith(b"archive")
    assert not initrd.exists()


@pytest.mark.parametrize(("more", "snapshot"), [({}, "on"), ({"keeps": True}, "off")])
def test_changes_of_the_root_disk_are_kept_only_if_told_so(tmp_path, more, snapshot):
    target = config.load_target("amd64-6.12")
    test = config.Test(name="test", limit=1, reason="none", packages=["some"])
    setup = boot.Setup(target, None, b"", {test.root: tmp_path / "disk"}, **more)
    assert f"snapshot={snapshot}," in qemu.Qemu(setup, test, tmp_path)._disks()[1]
