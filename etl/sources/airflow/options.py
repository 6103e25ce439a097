"""The configuration of this kind."""

import msgspec


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This kind has no keys of its own."""
