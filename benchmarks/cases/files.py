"""Downloads and uploads of 200 MB attachments: throughput and memory.

Five processes of each side share the rounds, since each may have a pace of its own: what it has allocated
and released before decides how often the C library returns the memory of the pieces received to the system,
and then each 4 kB of the next takes a page fault (with glibc up to 520 a megabyte, and a third of the pace).
The client sees to it that there are none; the floor mostly has fewer than 10, and one process in 24
had 59. Elapsed time depends on both cores being idle; CPU is that of the client alone.
"""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks import clients
from benchmarks.clients import COMPANY, CONNECTION
from benchmarks.measure import (
    CPU,
    FLOOR,
    OURS,
    PEAK,
    PER_SECOND,
    SDK,
    Measure,
    Round,
    Row,
    Sample,
    Setting,
    Side,
    timed_with_memory,
)
from benchmarks.server import ATTACHMENT_MB

MEASURES = (Measure(PER_SECOND, "MB/s", more_is_better=True), Measure(CPU, "µs"), Measure(PEAK, "MB"))

ROUNDS, PROCESSES = 15, 5

Transfer = Callable[[], Awaitable[object]]
Open = Callable[[Setting, int], "AsyncIterator[Transfer]"]


def _path(attachment: str) -> str:
    return f"/companies/{COMPANY}/connections/{CONNECTION}/data/invoices/1/attachments/{attachment}"


async def _ours_down(setting: Setting, megabytes: int) -> AsyncIterator[Transfer]:
    async with clients.ours(setting.base_url()) as codat:

        async def transfer() -> int:
            received = 0
            attachment = f"{ATTACHMENT_MB}{megabytes}"
            async with codat.invoices.download_attachment(COMPANY, CONNECTION, "1", attachment) as download:
                async for chunk in download:
                    received += len(chunk)
            return received

        yield transfer


async def _sdk_down(setting: Setting, megabytes: int) -> AsyncIterator[Transfer]:
    from codat_accounting.models import operations

    request = operations.DownloadInvoiceAttachmentRequest(
        company_id=COMPANY,
        connection_id=CONNECTION,
        invoice_id="1",
        attachment_id=f"{ATTACHMENT_MB}{megabytes}",
    )
    async with clients.sdk(setting.base_url()) as codat:

        async def transfer() -> int:
            response = await codat.invoices.download_attachment_async(request=request)
            assert response is not None
            received = 0
            async for chunk in response.aiter_bytes():
                received += len(chunk)
            return received

        yield transfer


async def _floor_down(setting: Setting, megabytes: int) -> AsyncIterator[Transfer]:
    url = f"{setting.base_url()}{_path(f'{ATTACHMENT_MB}{megabytes}')}/download"
    async with clients.floor() as session:

        async def transfer() -> int:
            received = 0
            async with session.get(url) as response:
                async for chunk in response.content.iter_any():
                    received += len(chunk)
            return received

        yield transfer


async def _ours_up(setting: Setting, megabytes: int) -> AsyncIterator[Transfer]:
    with _file(megabytes) as path:
        async with clients.ours(setting.base_url()) as codat:
            yield lambda: codat.invoices.upload_attachment(COMPANY, CONNECTION, "1", path)


async def _sdk_up(setting: Setting, megabytes: int) -> AsyncIterator[Transfer]:
    from codat_accounting.models import operations, shared

    with _file(megabytes) as path:
        async with clients.sdk(setting.base_url()) as codat:

            async def transfer() -> None:
                with path.open("rb") as file:
                    content = shared.CodatFile(file_name=path.name, content=file)
                    await codat.invoices.upload_attachment_async(
                        request=operations.UploadInvoiceAttachmentRequest(
                            company_id=COMPANY,
                            connection_id=CONNECTION,
                            invoice_id="1",
                            attachment_upload=shared.AttachmentUpload(file=content),
                        )
                    )

            yield transfer


async def _floor_up(setting: Setting, megabytes: int) -> AsyncIterator[Transfer]:
    url = f"{setting.base_url()}{_path('')}"
    with _file(megabytes) as path:
        async with clients.floor() as session:

            async def transfer() -> None:
                form = aiohttp.FormData()
                form.add_field("file", path.open("rb"), filename=path.name)
                async with session.post(url, data=form) as response:
                    await response.read()

            yield transfer


class _file:
    """A temporary file of so many megabytes."""

    def __init__(self, megabytes: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "scan.pdf"
        with self._path.open("wb") as file:
            # Without blocks on disk, which would be written while the rounds run.
            file.truncate(megabytes << 20)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _side(opened: Open, megabytes: int) -> Side:
    @asynccontextmanager
    async def side(setting: Setting) -> AsyncIterator[Round]:
        async with asynccontextmanager(opened)(setting, megabytes) as transfer:

            async def timed_transfer() -> Sample:
                return await timed_with_memory(megabytes, transfer())

            yield timed_transfer

    return side


def rows(short: bool) -> list[Row]:
    """A download and an upload."""
    megabytes = 10 if short else 200
    directions = (
        ("download", {OURS: _ours_down, SDK: _sdk_down, FLOOR: _floor_down}),
        ("upload", {OURS: _ours_up, SDK: _sdk_up, FLOOR: _floor_up}),
    )
    return [
        Row(
            case="files",
            title=f"{direction} of a {megabytes} MB attachment",
            sides={name: _side(opened, megabytes) for name, opened in sides.items()},
            measures=MEASURES,
            rounds=ROUNDS,
            processes=PROCESSES,
            needs_server=True,
        )
        for direction, sides in directions
    ]
