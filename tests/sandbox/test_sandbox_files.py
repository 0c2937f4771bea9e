"""Attachments on the disk, in ranges and of any size, and documents that a reader of PDFs opens."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from conftest import Api
from stand_in import SmallBooks, invoice

from codat_async import models
from codat_async.sandbox import Sandbox
from codat_async.sandbox.connection_faults import disposition
from codat_async.sandbox.pdf import document, render_record


def files(api: Api) -> str:
    """Where the attachments of an invoice are."""
    return f"{api.linked}/data/invoices/inv-1/attachments"


async def test_the_files_of_the_books(api: Api) -> None:
    """Files that the books hold are listed, described and streamed under their names."""
    (known,) = (await api.get(files(api)))["attachments"]
    assert known["name"] == "scan é.pdf"
    assert await api.get(f"{files(api)}/a1") == known
    async with api.session.get(f"{api.sandbox.base_url}{files(api)}/a1/download") as response:
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
async def test_ranges(api: Api, asked: str, status: int, content: bytes) -> None:
    """A range is answered by 206 with that part alone, one beyond the file by 416."""
    url = f"{api.sandbox.base_url}{files(api)}/a1/download"
    async with api.session.get(url, headers={"Range": asked}) as response:
        body = await response.read()
        assert response.status == status
        if status == 206:
            assert body == content
            assert response.headers["Content-Range"].endswith("/5")


async def upload(api: Api, content: object, name: str = "new.pdf", **headers: str) -> tuple[int, object]:
    """Sends a file as a form does."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", content, filename=name, content_type="application/pdf")
    return await api.send("POST", f"{api.push}/invoices/inv-1/attachment", data=form, headers=headers)


async def test_an_upload_shows(api: Api) -> None:
    """An uploaded file is a write like others, then described, and streamed back."""
    content = bytes(range(256)) * 5000
    status, operation = await upload(api, io.BytesIO(content), "Beleg № 1.pdf")
    assert status == 200
    assert isinstance(operation, dict)
    await asyncio.sleep(0.1)
    path = f"/companies/{api.company}/push/{operation['pushOperationKey']}"
    (change,) = (await api.get(path))["changes"]
    assert change["type"] == "AttachmentUploaded"
    attachment = await api.get(f"{files(api)}/{change['attachmentId']}")
    assert attachment["name"] == "Beleg № 1.pdf"
    assert attachment["contentType"] == "application/pdf"
    assert attachment["fileSize"] == len(content)
    status, body = await api.send("GET", f"{files(api)}/{change['attachmentId']}/download")
    assert (status, body) == (200, content)


async def test_a_deleted_attachment(api: Api) -> None:
    """A file of a bill that is deleted is gone once the write has ended; one that is not there is a 404."""
    bill = {"issueDate": "2026-01-31", "status": "Open", "subTotal": 1, "taxAmount": 0, "totalAmount": 1}
    _, created = await api.send("POST", f"{api.push}/bills", json=bill)
    await asyncio.sleep(0.1)
    written = await api.get(f"/companies/{api.company}/push/{created['pushOperationKey']}")
    bill_id = written["changes"][0]["recordRef"]["id"]
    bills = f"{api.push}/bills/{bill_id}/attachments"
    listed = f"{api.linked}/data/bills/{bill_id}/attachments"
    (attachment,) = (await api.get(listed))["attachments"]
    status, operation = await api.send("DELETE", f"{bills}/{attachment['id']}")
    assert (status, operation["status"]) == (200, "Pending")
    await asyncio.sleep(0.1)
    assert (await api.get(listed))["attachments"] == []
    assert (await api.send("DELETE", f"{bills}/{attachment['id']}"))[0] == 404


async def test_an_upload_is_streamed(api: Api) -> None:
    """A file far larger than any buffer arrives whole, sent without a length."""
    chunk = b"x" * 65536

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield chunk

    status, _ = await upload(api, chunks())
    assert status == 200
    await asyncio.sleep(0.1)
    sizes = [each.get("fileSize") for each in (await api.get(files(api)))["attachments"]]
    assert sizes == [5, 200 * len(chunk)]


async def test_uploads_with_a_key(api: Api) -> None:
    """The same file with the same key is attached once, whatever the boundary; another file answers 422."""
    _, first = await upload(api, b"one", **{"Idempotency-Key": "f"})
    _, again = await upload(api, b"one", **{"Idempotency-Key": "f"})
    assert first == again
    assert (await upload(api, b"two", **{"Idempotency-Key": "f"}))[0] == 422
    await asyncio.sleep(0.1)
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
    ],
)
async def test_uploads_that_hold_no_file(api: Api, content_type: str, body: bytes) -> None:
    """What is no form, or holds no whole file, answers 400 and attaches nothing."""
    path = f"{api.push}/invoices/inv-1/attachment"
    status, _ = await api.send("POST", path, data=body, headers={"Content-Type": content_type})
    assert status == 400
    assert len((await api.get(files(api)))["attachments"]) == 1


async def test_files_are_gone_after_the_stop() -> None:
    """What was uploaded leaves the disk with the sandbox."""
    async with Sandbox(books=SmallBooks()) as sandbox:
        folder = sandbox.files_folder
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
    for text in (b"Invoice INV-0003", b"Customer 3", b"Tea ", b"3.10", b"2026-01-04"):
        assert text in pdf


def test_an_empty_document_has_one_page() -> None:
    """A document without lines is still one."""
    assert b"/Count 1 " in objects_of(document([], ""))[2]


def test_file_names_in_headers(tmp_path: Path) -> None:
    """A name of any characters gives a header of plain ones."""
    header = disposition('a"b\r\nc\\é.pdf')
    assert header.isascii()
    assert "\r" not in header
    assert header.endswith("filename*=UTF-8''a%22b%0D%0Ac%5C%C3%A9.pdf")
