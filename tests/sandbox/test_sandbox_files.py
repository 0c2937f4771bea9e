"""Attachments on the disk, in ranges and of any size, and documents that a reader of PDFs opens."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from small_books import Api, ended, invoice, small_sandbox, written

from codat_async import models
from codat_async.sandbox.connection_faults import disposition
from codat_async.sandbox.pdf import document, render_record

KEY = "5a0b1f5e-2f6d-4a7c-9b3e-8d1c2b3a4f5e"


def files(api: Api) -> str:
    """Where the attachments of an invoice are."""
    return f"{api.linked}/data/invoices/inv-1/attachments"


async def upload(api: Api, content: object, name: str = "new.pdf", **headers: str) -> tuple[int, Any]:
    """Sends a file as a form does."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", content, filename=name, content_type="application/pdf")
    return await api.send("POST", f"{api.push}/invoices/inv-1/attachment", data=form, headers=headers)


async def uploaded(api: Api, content: object, name: str = "new.pdf") -> Any:
    """The one change of an upload that succeeded."""
    status, operation = await upload(api, content, name)
    assert status == 200
    (change,) = (await ended(api, operation))["changes"]
    assert change["type"] == "AttachmentUploaded"
    return change


@pytest.fixture
async def attached(api: Api) -> str:
    """The id of a file that holds "hello", on the disk."""
    return str((await uploaded(api, b"hello", "scan é.pdf"))["attachmentId"])


async def test_files_are_listed_described_and_streamed(api: Api, attached: str) -> None:
    """A file is listed, described, and streamed under its name."""
    (known,) = (await api.get(files(api)))["attachments"]
    assert (known["id"], known["name"], known["fileSize"]) == (attached, "scan é.pdf", 5)
    assert await api.get(f"{files(api)}/{attached}") == known
    async with api.session.get(f"{api.sandbox.base_url}{files(api)}/{attached}/download") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["Content-Length"] == "5"
        assert response.content_disposition is not None
        assert response.content_disposition.filename == "scan é.pdf"
        assert response.headers["X-Rate-Limit-Limit"]
        assert await response.read() == b"hello"
    assert (await api.refused(f"{files(api)}/none"))[0] == 404
    assert (await api.refused(f"{files(api)}/none/download"))[0] == 404
    assert (await api.refused(f"{api.linked}/data/invoices/none/attachments"))[0] == 404


async def test_downloads_break_like_other_answers(api: Api, attached: str) -> None:
    """A streamed file is cut off, lost or slowed down by a fault."""
    path = f"{files(api)}/{attached}/download"
    for fault in ("truncate", "lost"):
        with pytest.raises(aiohttp.ClientError):
            await api.send("GET", path, headers={"X-Sandbox-Fault": fault})
    assert await api.send("GET", path, headers={"X-Sandbox-Fault": "drip=0.01"}) == (200, b"hello")


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=1-3", 206, b"ell"),
        ("bytes=-2", 206, b"lo"),
        ("bytes=2-", 206, b"llo"),
        ("bytes=9-", 416, b""),
        ("nonsense", 416, b""),
    ],
)
async def test_ranges(api: Api, attached: str, asked: str, status: int, content: bytes) -> None:
    """A range is answered by 206 with that part alone, one beyond the file by 416."""
    url = f"{api.sandbox.base_url}{files(api)}/{attached}/download"
    async with api.session.get(url, headers={"Range": asked}) as response:
        body = await response.read()
        assert response.status == status
        if status == 206:
            assert body == content
            assert response.headers["Content-Range"].endswith("/5")


async def test_an_upload_is_streamed(api: Api) -> None:
    """A file far larger than any buffer arrives whole, sent without a length."""
    chunk = bytes(range(256)) * 256

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield chunk

    change = await uploaded(api, chunks(), "Beleg № 1.pdf")
    attachment = await api.get(f"{files(api)}/{change['attachmentId']}")
    assert attachment["name"] == "Beleg № 1.pdf"
    assert attachment["contentType"] == "application/pdf"
    assert attachment["fileSize"] == 200 * len(chunk)
    status, body = await api.send("GET", f"{files(api)}/{change['attachmentId']}/download")
    assert (status, body) == (200, 200 * chunk)


async def test_uploads_with_a_key(api: Api) -> None:
    """The same file with the same key is attached once, whatever the boundary; another file answers 422."""
    _, first = await upload(api, b"one", **{"Idempotency-Key": KEY})
    _, again = await upload(api, b"one", **{"Idempotency-Key": KEY})
    assert first == again
    assert (await upload(api, b"two", **{"Idempotency-Key": KEY}))[0] == 422
    await uploaded(api, b"three")
    assert len((await api.get(files(api)))["attachments"]) == 2


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"nothing here"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nx",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nbroken\r\n\r\nx\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data; name=scan; filename=a\r\n\r\nx\r\n--b--\r\n",
        ),
    ],
)
async def test_uploads_that_hold_no_file(api: Api, content_type: str, body: bytes) -> None:
    """A body that is not a form, or holds no whole file, answers 400 and attaches nothing."""
    path = f"{api.push}/invoices/inv-1/attachment"
    status, _ = await api.send("POST", path, data=body, headers={"Content-Type": content_type})
    assert status == 400
    assert (await api.get(files(api)))["attachments"] == []


async def test_a_file_is_deleted(api: Api) -> None:
    """A file of a bill is gone once its deletion has ended; one that is not there answers 404."""
    bill = {"issueDate": "2026-01-31", "status": "Open", "subTotal": 1, "taxAmount": 0, "totalAmount": 1}
    _, created = await api.send("POST", f"{api.push}/bills", json=bill)
    bill_id = (await written(api, created))["changes"][0]["recordRef"]["id"]
    form = aiohttp.FormData()
    form.add_field("file", b"x", filename="x.pdf")
    _, operation = await api.send("POST", f"{api.push}/bills/{bill_id}/attachments", data=form)
    attachment_id = (await ended(api, operation))["changes"][0]["attachmentId"]
    path = f"{api.push}/bills/{bill_id}/attachments/{attachment_id}"
    status, operation = await api.send("DELETE", path)
    assert (status, operation["status"]) == (200, "Pending")
    assert (await ended(api, operation))["changes"][0]["type"] == "Deleted"
    assert (await api.get(f"{api.linked}/data/bills/{bill_id}/attachments"))["attachments"] == []
    assert (await api.send("DELETE", path))[0] == 404


async def test_files_are_gone_after_the_stop() -> None:
    """What was uploaded leaves the disk with the sandbox."""
    async with small_sandbox() as sandbox:
        folder = sandbox._files.folder
        assert folder.is_dir()
    assert not folder.exists()


async def test_pdf_of_an_invoice(api: Api) -> None:
    """An invoice is served as a PDF with a file name."""
    async with api.session.get(f"{api.sandbox.base_url}{api.data}/invoices/inv-1/pdf") as response:
        assert response.content_type == "application/pdf"
        assert response.content_disposition is not None
        assert (await response.read()).startswith(b"%PDF-1.4")
    assert (await api.refused(f"{api.data}/invoices/none/pdf"))[0] == 404


def objects_of(pdf: bytes) -> dict[int, bytes]:
    """The objects of a document, found by way of its cross-reference table as a reader would."""
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", pdf)[1])  # type: ignore[index]
    header = re.match(rb"xref\n0 (\d+)\n", pdf[start:])
    assert header is not None
    count = int(header[1])
    table = pdf[start + header.end() :]
    found = {}
    for number in range(count):
        entry = table[20 * number : 20 * number + 20]
        assert re.fullmatch(rb"\d{10} \d{5} [nf] \n", entry), entry
        if entry[17:18] == b"n":
            offset = int(entry[:10])
            prefix = b"%d 0 obj\n" % number
            assert pdf[offset:].startswith(prefix)
            found[number] = pdf[offset + len(prefix) : pdf.index(b"\nendobj", offset)]
    assert b"/Size %d " % count in table
    return found


def test_documents_are_well_formed() -> None:
    """The table points at every object, streams are as long as they say, and pages are counted."""
    pdf = document([f"line {number} (ä\\) €" for number in range(120)], "Title")
    objects = objects_of(pdf)
    assert b"/Count 3 " in objects[2]
    streams = [body for body in objects.values() if b"stream\n" in body]
    assert len(streams) == 3
    for body in streams:
        length = int(re.search(rb"/Length (\d+)", body)[1])  # type: ignore[index]
        content = body.partition(b"stream\n")[2].removesuffix(b"\nendstream")
        assert len(content) == length
    assert b"(line 0 \\(\xe4\\\\\\) \x80) Tj" in streams[0]


def test_an_invoice_in_print() -> None:
    """The number, the party, the lines and the total are in the document."""
    record = invoice(3)
    record.line_items = [models.InvoiceLineItem(description="Tea", quantity=2, unit_amount=3, total_amount=6)]  # type: ignore[arg-type]
    pdf = render_record(record, "Invoice")
    for text in (b"INV-0003", b"Customer 3", b"Tea", b"3.10", b"2026-01-04"):
        assert text in pdf


def test_a_document_of_a_given_size() -> None:
    """A comment fills a document up to the size, and the table still points at every object."""
    pdf = document(["scan"], "Attachment", size=5000)
    assert len(pdf) == 5000
    assert objects_of(pdf).keys() == {1, 2, 3, 4, 5, 6}


def test_an_empty_document_has_one_page() -> None:
    """A document without lines is still one."""
    assert b"/Count 1 " in objects_of(document([], ""))[2]


def test_file_names_in_headers(tmp_path: Path) -> None:
    """A name of any characters gives a header of plain ones."""
    header = disposition('a"b\r\nc\\é.pdf')
    assert header.isascii()
    assert "\r" not in header
    assert header.endswith("filename*=UTF-8''a%22b%0D%0Ac%5C%C3%A9.pdf")
