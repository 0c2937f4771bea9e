"""Several threads may construct decoders at the same time."""

import subprocess
import sys

PROGRAM = """
import sys, threading
from codat_async import models
from codat_async.codec import decoding

sys.setswitchinterval(1e-6)
kinds = [models.Invoice, models.Bill, models.CreditNote, models.PurchaseOrder, models.SalesOrder]
together = threading.Barrier(4)

def work(first):
    together.wait()
    for kind in kinds[first:] + kinds[:first]:
        decoding.decoder(kind).pages.decode(b'{"results":[]}')

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_construct_decoders_of_shared_types() -> None:
    """Four threads that construct decoders of types with common parts do not crash the process."""
    for _ in range(5):
        run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
