# SPDX-License-Identifier: GPL-2.0
"""Tells of times when this machine did not run: guests that stand still with it report stalls of their own."""

import threading
import time

BEAT = 1
# Busy loops beside the guests delay a beat by less.
WORTH_TELLING = 5


def _watch(report):
    while True:
        before = time.monotonic()
        time.sleep(BEAT)
        late = time.monotonic() - before - BEAT
        if late > WORTH_TELLING:
            report.say("runner", f"this machine stood still for {late:.0f} s")


def watch(report):
    threading.Thread(target=_watch, args=(report,), daemon=True).start()
