"""Single records by id into the store; the ledger of what is known is not touched."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import uuid4

from etl.coverage import start_walk
from etl.errors import ConfigError, EtlError, PositionLost, SourceError
from etl.http import Client, Traffic, open_client
from etl.records import Gap, Page, SourceConfig, Stream
from etl.sources import SOURCES
from etl.sync.load import ONE_COMMIT, Loader, commit, load_step
from etl.sync.run import SourceResult, Surroundings, end_run, plan_source, start_loader
from etl.sync.walk import Step


def fetch_records(
    config: SourceConfig, record_ids: Sequence[str], around: Surroundings
) -> SourceResult:
    """Fetch records and store them; those that are not to be had are errors in the result.

    Raises StoreError. BudgetEnded passes through: nothing was stored then.
    """
    with around.open_store() as connection:
        plans = plan_source(connection, config, around.clock(), is_full=False)
    around = replace(around, limits=ONE_COMMIT)
    loader = start_loader(config, uuid4().hex[:12], around, plans, "fetch")
    # A record fetched by name is wanted, however old it is.
    loader.batch.pruned = {}
    result = SourceResult(config.name)
    now = around.clock()
    with open_client(
        config.name,
        config.base_url,
        config.token,
        around.budget,
        config.requests_per_second,
        around.transport,
    ) as client:
        clients = {p.stream: replace(client, traffic=Traffic()) for p in plans}
        for record_id in record_ids:
            try:
                stream, page = _find(clients, config, record_id)
            except EtlError as error:
                result.errors.append(error)
            else:
                load_step(loader, Step(stream, page, start_walk(Gap(now, now))))
    _finish(loader, clients, around)
    result.runs = tuple(loader.batch.runs.values())
    return result


def _find(
    clients: Mapping[Stream, Client], config: SourceConfig, record_id: str
) -> tuple[Stream, Page]:
    """The record, and the stream that has it; an id may not say of which it is."""
    failure: EtlError = SourceError(f"{config.name}: there is no stream to look into")
    for stream, client in clients.items():
        try:
            return stream, SOURCES[config.kind].fetch_record(client, config, stream, record_id)
        except (PositionLost, ConfigError) as error:
            failure = error
    raise failure


def _finish(loader: Loader, clients: Mapping[Stream, Client], around: Surroundings) -> None:
    """Commit what was found, with a run row for each stream that had some of it."""
    spent = {stream.name: [client.traffic] for stream, client in clients.items()}
    now = around.clock()
    loader.batch.runs = {
        name: replace(end_run(run, spent[name], now), state="fetched", exit_code=0)
        for name, run in loader.batch.runs.items()
        if run.pages
    }
    if loader.batch.runs:
        commit(loader)
