"""Files attached to records: received in parts onto the disk, streamed back from it."""

import hashlib
from collections.abc import MutableSequence
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import IO, Final

from aiohttp import BodyPartReader, MultipartReader, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from codat_async.models import Attachment, Attachments, PushChangeType
from codat_async.operations import Operation
from codat_async.operations.base import data_type_of
from codat_async.sandbox.books.attachments import content
from codat_async.sandbox.call import Call, Handler
from codat_async.sandbox.idempotency import request_digest
from codat_async.sandbox.reads import Reads, find
from codat_async.sandbox.replies import ApiError, FileReply, Reply, json_reply, now
from codat_async.sandbox.state import CompanyState
from codat_async.sandbox.writes import Writes

_CHUNK: Final = 262144
_LONGEST_NAME: Final = 1000
_PART_NAMES: Final = frozenset({"file", "fileName"})
"""The API takes ``file``; the SDK of 2024, with which the contract tests run, still sends ``fileName``."""
_UNREADABLE: Final = (ValueError, AssertionError, HttpProcessingError, web.RequestPayloadError, RuntimeError)


class _Received:
    """A file on the disk, with the name and content type that it came with."""

    def __init__(self, folder: Path, name: str, content_type: str) -> None:
        self.name = name
        self.content_type = content_type
        self.size = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self._file: IO[bytes] = NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115
        self.path = Path(self._file.name)

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    def close(self) -> None:
        self._file.close()

    def drop(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    def digest(self, *parts: str) -> bytes:
        # Not of the body as it was sent: the boundary between its parts is another each time.
        return request_digest(*parts, self.name, self._digest.digest())


class Files:
    """Makes a handler for each operation on attachments."""

    def __init__(self, reads: Reads, writes: Writes) -> None:
        self._reads = reads
        self._writes = writes
        self._folder: TemporaryDirectory[str] | None = None
        self._paths: dict[tuple[str, str, str, str], Path] = {}

    def close(self) -> None:
        """Removes everything that was uploaded from the disk."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
            self._paths.clear()

    @property
    def folder(self) -> Path:
        """Where the files are, made when first needed."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="codat-sandbox-")
        return Path(self._folder.name)

    def list(self, operation: Operation) -> Handler:
        """Lists the files attached to a record."""
        return lambda call: json_reply(Attachments(attachments=list(self._attached(call, operation)[2])))

    def get(self, operation: Operation) -> Handler:
        """Reads what is known of one file."""
        return lambda call: json_reply(_pick(call, self._attached(call, operation)[2]))

    def download(self, operation: Operation) -> Handler:
        """Streams a file from the disk."""

        def handler(call: Call) -> FileReply:
            company, record_id, held = self._attached(call, operation)
            attachment = _pick(call, held)
            key = (company.id, operation.resource, record_id, call.ids["attachmentId"])
            if key not in self._paths:
                received = _Received(self.folder, "", "")
                received.write(content(attachment))
                received.close()
                self._paths[key] = received.path
            return FileReply(path=self._paths[key], name=attachment.name or "attachment")

        return handler

    def upload(self, operation: Operation) -> Handler:
        """Receives a file and attaches it, which is a write like others."""

        async def handler(call: Call) -> Reply:
            company, record_id, held = self._attached(call, operation)
            received = await self._receive(call)
            is_kept = False
            try:
                if call.claim is not None:
                    replayed = call.claim.replay(received.digest(call.request.method, call.raw_path))
                    if replayed is not None:
                        return replayed
                reply = self._attach(call, operation.resource, company, record_id, held, received)
                is_kept = True
                return reply
            finally:
                if not is_kept:
                    received.drop()

        return handler

    def delete(self, operation: Operation) -> Handler:
        """Deletes a file of a record."""

        def handler(call: Call) -> Reply:
            company, record_id, held = self._attached(call, operation)
            attachment = _pick(call, held)

            def remove() -> None:
                held[:] = [each for each in held if each is not attachment]

            kind = PushChangeType.DELETED
            return self._writes.start(
                call, company, operation.resource, kind, lambda: (record_id, remove), [], attachment.id
            )

        return handler

    def _attach(
        self,
        call: Call,
        resource: str,
        company: CompanyState,
        record_id: str,
        held: MutableSequence[Attachment],
        received: _Received,
    ) -> Reply:
        attachment_id = self._writes.new_id("attachment")

        def attach() -> None:
            moment = now()
            attachment = Attachment(
                id=attachment_id,
                name=received.name,
                content_type=received.content_type,
                file_size=received.size,
                date_created=moment,
                modified_date=moment,
                source_modified_date=moment,
                include_when_sent=False,
            )
            self._paths[company.id, resource, record_id, attachment_id] = received.path
            held.append(attachment)

        kind = PushChangeType.ATTACHMENT_UPLOADED
        return self._writes.start(
            call, company, resource, kind, lambda: (record_id, attach), [], attachment_id
        )

    def _attached(
        self, call: Call, operation: Operation
    ) -> tuple[CompanyState, str, MutableSequence[Attachment]]:
        """The company, the record's id and the files attached to it; raises 404."""
        company = self._reads.company(call)
        resource = operation.resource
        names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
        record_id = call.ids[names[2]]
        find(company.collection(resource), resource, record_id)
        return (
            company,
            record_id,
            company.synced_books(data_type_of(resource)).attachments(resource, record_id),
        )

    async def _receive(self, call: Call) -> _Received:
        if not call.body_type.startswith("multipart/"):
            raise ApiError(400, "The file must be sent as multipart/form-data.")
        received = None
        is_whole = False
        try:
            reader = MultipartReader(call.request.headers, call.request.content)
            async for part in reader:
                if received is None and isinstance(part, BodyPartReader) and part.name in _PART_NAMES:
                    content_type = part.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream")
                    name = (part.filename or "file")[:_LONGEST_NAME]
                    received = _Received(self.folder, name, content_type)
                    while not part.at_eof():
                        received.write(part.decode(await part.read_chunk(_CHUNK)))
            is_whole = True
        except _UNREADABLE as error:
            raise ApiError(400, "The request body is not valid multipart/form-data.") from error
        finally:
            if received is not None and not is_whole:
                received.drop()
        if received is None:
            raise ApiError(400, "The request body holds no part named file.")
        received.close()
        return received


def _pick(call: Call, held: MutableSequence[Attachment]) -> Attachment:
    attachment_id = call.ids["attachmentId"]
    for attachment in held:
        if attachment.id == attachment_id:
            return attachment
    raise ApiError(404, f"No attachment with the id '{attachment_id[:200]}' was found.")
