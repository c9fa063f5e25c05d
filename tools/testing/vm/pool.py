# SPDX-License-Identifier: GPL-2.0
"""Threads for guests, a guest each."""

import concurrent.futures
import contextlib

# Guests that run at once. Tests often wait, so on two cores a third guest has much of a core. With many more, guests
# would be slower than their time limits allow for.
GUESTS = 3
WAITING_GUESTS = 1


@contextlib.contextmanager
def threads(count):
    """So many threads. An interrupt of the run cancels the jobs that have not begun."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
