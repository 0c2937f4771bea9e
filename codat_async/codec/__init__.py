"""Bytes to Structs and back: one way to read a record, pages decoded in slices, models encoded.

The other modules of this package are private: code outside imports from here.
"""

from codat_async.codec.decoding import decoder
from codat_async.codec.mirrors import contains_models, mirror_maker
from codat_async.codec.pages import SLICE, OnInvalid, SlicedPage, decode_page, decode_whole, split_page
from codat_async.codec.records import encode, read
from codat_async.errors import DECODE_ERRORS

__all__ = [
    "DECODE_ERRORS",
    "SLICE",
    "OnInvalid",
    "SlicedPage",
    "contains_models",
    "decode_page",
    "decode_whole",
    "decoder",
    "encode",
    "mirror_maker",
    "read",
    "split_page",
]
