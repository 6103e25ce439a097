"""Maps that users fill never become columns."""

from tests.cli.stage import RizaApi, Stage, make_record

RECORDS = 2_000
KEYS = 3_000


def test_three_thousand_different_keys_make_no_column(stage: Stage) -> None:
    """In input, output and environment; `etl.drift` does not grow by them either."""
    columns = "SELECT table_schema, table_name, column_name FROM information_schema.columns"
    records = [make_record_with_keys(number) for number in range(RECORDS)]
    keys = {key for record in records for key in record["details"]["request"]["input"]}
    before = stage.query(columns)

    result = stage.but(handler=RizaApi(records)).run("sync")

    assert (result.exit_code, result.stderr) == (0, "")
    assert len(keys) == KEYS
    assert stage.query(columns) == before
    assert stage.query("SELECT count(*) FROM etl.drift") == [(0,)]
    found = stage.query(
        "SELECT count(DISTINCT key) FROM (SELECT unnest(json_keys(input)) AS key "
        "FROM riza.executions INTERSECT SELECT unnest(json_keys(output)) FROM riza.executions "
        "INTERSECT SELECT name FROM riza.env)"
    )
    assert found == [(KEYS,)]


def make_record_with_keys(number: int) -> dict[str, object]:
    values = {f"key_{(3 * number + place) % KEYS}": number for place in range(3)}
    env = {name: f"value-{value}" for name, value in values.items()}
    details = {
        "type": "function",
        "request": {"input": values, "env": env},
        "response": {"output": values, "output_status": "valid", "execution": {"exit_code": 0}},
    }
    return make_record(number % 1_400, id=f"exec{number:04d}", details=details)
