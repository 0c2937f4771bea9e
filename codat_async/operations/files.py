"""Files: attachments and PDFs, down and up."""

from typing import ClassVar

from codat_async.models import Attachment, Attachments, PushOperation
from codat_async.operations.base import COMPANY, CONNECTION, Operation
from codat_async.operations.reads import Read
from codat_async.operations.writes import WITH_ATTACHMENTS, key_headers, read_push
from codat_async.streaming import Download, UploadSource, multipart


class ListAttachments(Read[Attachments]):
    """The files that hang on a record."""

    base = CONNECTION

    def __init__(self, path: str) -> None:
        super().__init__(Attachments, path)

    async def __call__(self, company_id: str, connection_id: str, record_id: str) -> list[Attachment]:
        """All of them; the endpoint has no pages."""
        request = self.request((company_id, connection_id, record_id))
        return (await self.decoded(request, Attachments)).attachments or []


class GetAttachment(Read[Attachment]):
    """What is known of one file: name, type, size."""

    base = CONNECTION

    def __init__(self, path: str) -> None:
        super().__init__(Attachment, path)

    async def __call__(
        self, company_id: str, connection_id: str, record_id: str, attachment_id: str
    ) -> Attachment:
        """Read it; the content comes with ``download_attachment``."""
        return await self.decoded(
            self.request((company_id, connection_id, record_id, attachment_id)), Attachment
        )


class GetAttachmentWithTimeout(GetAttachment):
    """What is known of one file, where the endpoint takes a time-out."""

    async def __call__(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        attachment_id: str,
        *,
        timeout_in_minutes: int | None = None,
    ) -> Attachment:
        """Read it; the content comes with ``download_attachment``."""
        ids = (company_id, connection_id, record_id, attachment_id)
        return await self.decoded(self.request(ids, {"timeoutInMinutes": timeout_in_minutes}), Attachment)


class _DownloadOperation(Operation):
    accept: ClassVar[str]

    def _download(self, ids: tuple[str, ...]) -> Download:
        # Not compressed on the way, so that its size is known and a break can be resumed.
        headers = {"Accept": self.accept, "Accept-Encoding": "identity"}
        request = self.request(ids, stream=True, headers=headers)
        return Download(self._caller.send, request)


class DownloadAttachment(_DownloadOperation):
    """The content of a file that hangs on a record."""

    base = CONNECTION
    accept = "application/octet-stream"

    def __call__(self, company_id: str, connection_id: str, record_id: str, attachment_id: str) -> Download:
        """A download to be used with ``async with``; nothing is sent before."""
        return self._download((company_id, connection_id, record_id, attachment_id))


class DownloadPdf(_DownloadOperation):
    """A record as a PDF."""

    base = COMPANY
    accept = "application/pdf"

    def __call__(self, company_id: str, record_id: str) -> Download:
        """A download to be used with ``async with``; nothing is sent before."""
        return self._download((company_id, record_id))


class UploadAttachment(Operation):
    """A file to hang on a record."""

    method = "POST"
    base = CONNECTION

    def __init__(self, path: str) -> None:
        super().__init__(path)
        WITH_ATTACHMENTS.add(path.split("/")[2])

    async def __call__(
        self,
        company_id: str,
        connection_id: str,
        record_id: str,
        file: UploadSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> PushOperation[Attachment] | None:
        """Send a file without holding it in memory.

        ``file`` is a path, bytes, an open binary file, or a function that opens an async
        iterator of bytes. ``name`` and ``content_type`` are taken from a path where not
        given. Returns the push operation where the platform answers with one.
        """
        body = await multipart(file, name=name, content_type=content_type)
        request = self.request(
            (company_id, connection_id, record_id), body=body, headers=key_headers(idempotency_key)
        )
        response = await self._caller.send(request)
        if not response.body.strip():
            return None
        return read_push(response.body, Attachment, self.label)
