# SPDX-License-Identifier: GPL-2.0
"""
Makes pages of this folder: KERNEL_SOURCE=<a Linux source, for its kernel-doc> sphinx-build Documentation build/docs
./run check does so, too.
"""

import os
import pathlib
import sys

source = pathlib.Path(os.environ["KERNEL_SOURCE"])
sys.path.append(str(source / "Documentation/sphinx"))

project = "mdev-request"
extensions = ["kerneldoc"]
kerneldoc_bin = str(source / "scripts/kernel-doc")
kerneldoc_srctree = str(pathlib.Path(__file__).resolve().parent.parent)

# What a page shows of a source is C where it does not say otherwise; commands are shown as they are.
highlight_language = "none"
primary_domain = "c"

# What the kernel adds to C
c_id_attributes = ["__user"]
