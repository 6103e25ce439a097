"""Credentials out of records, before anything is written.

What each column may hold is declared where the table is (`Column.role`); the rules live here. A
secret becomes a keyed fingerprint, so that the same secret can be recognised but not read.

plan         who redacts, and in which columns there is something to do
page         the records of a page: a fast look at all, care for a few
record       one record, looked through with care
typed        known places: secret columns, contents of files
names        which key names mean a secret
leaves       JSON text, read token by token
literals     what Python programs print of a dictionary: what stands below such names
payload      JSON text: the same
edits        pieces of a text that are replaced
settings     passwords among the settings of a connection, in JSON
shapes       connection strings, tokens of well-known issuers; lines for logs
echoes       the record's own secrets, wherever they come back
quarantine   what could not be understood
fingerprint  what takes the place of a secret
keys         the key of the fingerprints, beside the store
"""

from etl.redact.fingerprint import make_fingerprint
from etl.redact.keys import check_key, load_key, make_key_id, make_key_path
from etl.redact.page import Redacted, RedactedPage, redact_page, redact_record
from etl.redact.plan import Redactor
from etl.redact.quarantine import redact_broken
from etl.redact.shapes import mask_line

__all__ = [
    "Redacted",
    "RedactedPage",
    "Redactor",
    "check_key",
    "load_key",
    "make_fingerprint",
    "make_key_id",
    "make_key_path",
    "mask_line",
    "redact_broken",
    "redact_page",
    "redact_record",
]
