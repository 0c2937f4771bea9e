"""Bytes to Structs and back: one way to read a record, pages decoded in slices, models encoded.

The other modules of this package are private: code outside imports from here.
"""

from codat_async.codec.decoding import decoder
from codat_async.codec.lenient import decode_leniently
from codat_async.codec.pages import SLICE, OnInvalid, SlicedPage, decode_page, split_page
from codat_async.codec.records import RecordKey, encode, mirror_maker, on_one_line, read, read_key
from codat_async.errors import DECODE_ERRORS

__all__ = [
    "DECODE_ERRORS",
    "SLICE",
    "OnInvalid",
    "RecordKey",
    "SlicedPage",
    "decode_leniently",
    "decode_page",
    "decoder",
    "encode",
    "mirror_maker",
    "on_one_line",
    "read",
    "read_key",
    "split_page",
]
