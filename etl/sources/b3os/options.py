"""The configuration of this kind."""

from typing import Annotated

import msgspec
from msgspec import Meta

OrgId = Annotated[str, Meta(pattern=r"^[!-~]+\Z", description="the id of an organization")]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys that only this kind has.

    `runs`: also the runs that nobody started from outside. `events`: also what happened within
    each execution, for one more request per execution. `org_id`: for keys of several
    organizations.
    """

    runs: Annotated[bool, Meta(description="true or false")] = False
    events: Annotated[bool, Meta(description="true or false")] = False
    org_id: OrgId | None = None
