"""Bytes to Structs and back: one way to read a record, pages decoded in slices, models encoded.

The other modules of this package are private: code outside imports from here.
"""

from codat_async.codec.decoders import DECODE_ERRORS, decoder
from codat_async.codec.encoding import encode
from codat_async.codec.pages import OnInvalid, SlicedPage, SplitPage, decode_page, split_page
from codat_async.codec.reading import read
from codat_async.codec.validation import RecordKey, read_key, validator

__all__ = [
    "DECODE_ERRORS",
    "OnInvalid",
    "RecordKey",
    "SlicedPage",
    "SplitPage",
    "decode_page",
    "decoder",
    "encode",
    "read",
    "read_key",
    "split_page",
    "validator",
]
