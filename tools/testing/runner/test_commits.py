# SPDX-License-Identifier: GPL-2.0
"""The rules for the text of a commit."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "checks"))

import commits  # noqa: E402 (it is in another folder)

GOOD = "mdev: refuse a moon that is full\n\nA holder could see by it.\n"


@pytest.mark.parametrize("text", [
    GOOD,
    GOOD + "\n# what git says\n# ------------------------ >8 ------------------------\n" + "x y" * 50,
    GOOD + "\n    [   12.345678] a line of the log, which is as long as it is, and not broken for any reader\n",
    GOOD + "\nhttps://example.org/a/link/that/cannot/be/broken/and/so/is/longer/than/a/line/may/be/otherwise\n",
    "fixup! mdev: refuse a moon that is full\n",
    "# nothing\n",
], ids=["plain", "cut", "log", "link", "fixup", "empty"])
def test_text_is_taken(text):
    assert commits.wrong_in_message(text) == []


@pytest.mark.parametrize("text, says", [
    ("mdev: " + "x" * 67 + "\n\nWhy.\n", "73 columns"),
    ("refuse a moon\n\nWhy.\n", "does not begin with the part"),
    ("mdev: refuse a moon.\n\nWhy.\n", "full stop"),
    ("mdev: refuse a moon\nWhy.\n", "the second line is not empty"),
    ("mdev: refuse a moon\n", "does not say why"),
    (GOOD + "x " * 50 + "\n", "100 columns|99 columns"),
], ids=["long", "part", "stop", "second", "why", "body"])
def test_text_is_refused(text, says):
    found = commits.wrong_in_message(text)
    assert len(found) == 1
    assert any(part in found[0] for part in says.split("|"))
