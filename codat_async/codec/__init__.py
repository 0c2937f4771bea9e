"""Bytes to Structs and back: one way to read a record, and pages decoded in slices."""

from codat_async.codec.records import (
    OnInvalid,
    SlicedPage,
    SplitPage,
    decode,
    decode_page,
    decoder,
    decoder_lock,
    encode,
    page_of,
    split_page,
)

__all__ = [
    "OnInvalid",
    "SlicedPage",
    "SplitPage",
    "decode",
    "decode_page",
    "decoder",
    "decoder_lock",
    "encode",
    "page_of",
    "split_page",
]
