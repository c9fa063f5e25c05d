# SPDX-License-Identifier: GPL-2.0
"""The checks before a commit, if "./run hooks" was run: checkpatch on what is staged, and the form of the text."""

import re
import subprocess

import static
from config import TOP
from report import Failure

HOOKS = "tools/testing/hooks"

SUBJECT = 72
BODY = 75


def install():
    subprocess.run(["git", "config", "core.hooksPath", HOOKS], cwd=TOP, check=True)


def staged(kernel):
    """The lines of checkpatch about what is staged."""
    patch = subprocess.run(["git", "diff", "--cached", "--diff-filter=d", "--", "*.c", "*.h"], cwd=TOP, check=True,
                           stdout=subprocess.PIPE).stdout
    return static.checkpatch_says(kernel, ["--showfile", "--no-signoff", "-"], patch) if patch else []


def wrong_in_message(text):
    """What is wrong with the text of a commit, as git passes it to a hook."""
    lines = [line.rstrip() for line in text.split("# ------------------------ >8")[0].splitlines()
             if not line.startswith("#")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return []       # git itself refuses an empty text
    subject, *body = lines
    if re.match(r"(fixup|squash|amend)! |Merge |Revert ", subject):
        return []
    found = []
    if len(subject) > SUBJECT:
        found.append(f"the first line has {len(subject)} columns, {SUBJECT} at most are wanted")
    if not re.match(r"[\w./-]+(, [\w./-]+)*: \S", subject):
        found.append("the first line does not begin with the part that it is about: \"mdev: …\"")
    if subject.endswith("."):
        found.append("the first line ends with a full stop")
    if body and body[0]:
        found.append("the second line is not empty")
    if not any(body):
        found.append("the text does not say why")
    # A link or a log line cannot be broken.
    found += [f"a line has {len(line)} columns, {BODY} at most are wanted: {line}" for line in body
              if len(line) > BODY and " " in line.strip() and not line.startswith((" ", "\t"))]
    return found


def refuse(found):
    if found:
        raise Failure("\n".join(["not committed:", *(f"  {line}" for line in found)]))
