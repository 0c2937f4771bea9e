"""Files: attachments and PDFs, down and up."""

from typing import ClassVar

from codat_async.models import Attachment, Attachments, PushOperation
from codat_async.operations.base import COMPANY, CONNECTION, Call, Operation
from codat_async.operations.writes import key_headers, read_push
from codat_async.streaming import Download, UploadSource, multipart


class ListAttachments(Call[Attachments], base=CONNECTION):
    async def __call__(self, company_id: str, connection_id: str, record_id: str) -> list[Attachment]:
        """All the files attached to a record; the endpoint has no pages."""
        return (await self._answer((company_id, connection_id, record_id))).attachments or []


class GetAttachment(Call[Attachment], base=CONNECTION):
    async def __call__(
        self, company_id: str, connection_id: str, record_id: str, attachment_id: str, **options: int | None
    ) -> Attachment:
        """A file's name, type and size; ``download_attachment`` reads the content."""
        ids = (company_id, connection_id, record_id, attachment_id)
        return await self._answer(ids, self._parameters(options))


class _Download(Operation):
    accept: ClassVar[str]

    def _download(self, *ids: str) -> Download:
        # Not compressed, so that the size is known and a broken download can be resumed.
        headers = {"Accept": self.accept, "Accept-Encoding": "identity"}
        return Download(self._caller.send, self.request(ids, headers=headers).copy(stream=True))


class DownloadAttachment(_Download, base=CONNECTION, accept="application/octet-stream"):
    def __call__(self, company_id: str, connection_id: str, record_id: str, attachment_id: str) -> Download:
        """The content of a file attached to a record, for ``async with``, which sends the request."""
        return self._download(company_id, connection_id, record_id, attachment_id)


class DownloadPdf(_Download, base=COMPANY, accept="application/pdf"):
    def __call__(self, company_id: str, record_id: str) -> Download:
        """A record as a PDF, for ``async with``, which sends the request."""
        return self._download(company_id, record_id)


class UploadAttachment(Operation, method="POST", base=CONNECTION):
    options = {"name": str | None, "content_type": str | None, "idempotency_key": str | None}

    async def __call__(
        self, company_id: str, connection_id: str, record_id: str, file: UploadSource, **options: str | None
    ) -> PushOperation[Attachment] | None:
        """Send a file without holding it in memory.

        ``file`` is a path, bytes, an open binary file, or a function that opens an async iterator of bytes.
        The default ``name`` is that of the path or open file, and the default ``content_type`` is guessed
        from the name. Returns the push operation if the platform answers with one.
        """
        self._check(options)
        headers = key_headers(options.get("idempotency_key"))
        body = await multipart(file, name=options.get("name"), content_type=options.get("content_type"))
        request = self.request((company_id, connection_id, record_id), body=body, headers=headers)
        answer = (await self._caller.send(request)).body
        return read_push(answer, Attachment, self.label) if answer.strip() else None


def attachments(path: str, timed: bool = False) -> tuple[ListAttachments, GetAttachment, DownloadAttachment]:
    """The ways to read the files attached to the record at a path; ``timed`` if one takes a time-out."""
    of_one = path + "/attachments/{attachmentId}"
    get = GetAttachment(Attachment, of_one)
    get.options = {"timeout_in_minutes": int | None} if timed else {}
    return ListAttachments(Attachments, path + "/attachments"), get, DownloadAttachment(of_one + "/download")
