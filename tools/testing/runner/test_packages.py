# SPDX-License-Identifier: GPL-2.0
"""A kernel's image and modules are found wherever its packages have them, and kbuild runs without the host's locale."""

import types

import pytest

from packages import Kernel
from toolchain import Toolchain

RELEASE = "6.12.1-amd64"

# The packages of Debian 12, 13 and 14
LAYOUTS = {
    "bookworm": (f"boot/vmlinuz-{RELEASE}", f"lib/modules/{RELEASE}"),
    "trixie": (f"boot/vmlinuz-{RELEASE}", f"usr/lib/modules/{RELEASE}"),
    "forky": (f"usr/lib/modules/{RELEASE}/vmlinuz", f"usr/lib/modules/{RELEASE}"),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_image_and_modules_are_found(tmp_path, layout):
    root = tmp_path / "root"
    image, modules = (root / name for name in layout)
    modules.mkdir(parents=True)
    image.parent.mkdir(parents=True, exist_ok=True)
    image.touch()
    target = types.SimpleNamespace(dir=tmp_path, source="source", tools="source")
    kernel = Kernel(target, RELEASE, {"source": "source"}, [])
    assert (kernel.image, kernel.modules) == (image, modules)


def test_toolchain_has_a_locale_of_its_own(tmp_path):
    command = Toolchain(tmp_path).command(["make"])
    assert {"LANG=C", "LC_CTYPE=C", "LC_MESSAGES=C"} <= set(map(str, command))
