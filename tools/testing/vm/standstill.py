# SPDX-License-Identifier: GPL-2.0
"""Reports times in which this machine did not run. Guests stand still with it, and then report stalls of their own."""

import threading
import time

BEAT = 1
# Busy loops beside the guests delay a beat by less than this.
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
