"""What stands in cron/ is understood by who reads it, and by the program."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
from click.testing import CliRunner

from etl import __version__
from etl.cli import main
from etl.config import load_config
from tests.cron.files import (
    CRON,
    ROOT,
    list_commands,
    list_jobs,
    read_crontab,
    read_dockerfile,
    read_manifests,
    read_pod,
    read_unit,
)

KUBERNETES_VERSIONS = ("1.27", "1.33")
PERIOD_S = 15 * 60.0


@pytest.mark.parametrize("place", list(list_commands()))
def test_every_command_is_one_of_the_program(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(
        click.Command, "invoke", lambda self, context: called.append(context.command_path)
    )

    done = CliRunner().invoke(main, list_commands()[place], prog_name="etl", catch_exceptions=False)

    assert done.output == ""
    assert called[-1].startswith("etl ")


def test_every_line_of_the_crontab_has_a_time_and_a_command() -> None:
    jobs = list_jobs()

    assert [job.is_valid() for job in jobs] == [True] * len(jobs)
    assert [job.command.split("etl ")[-1].split()[0] for job in jobs] == [
        "sync", "status", "compact", "prune",
    ]  # fmt: skip
    assert [job.is_enabled() for job in jobs] == [True, True, True, False]
    # What is dropped is gone: only the user switches that on.
    assert read_crontab().env["MAILTO"] == "root"
    # A percent sign would end the command.
    assert not [job.command for job in jobs if "%" in job.command]


def find_max_seconds(words: Iterable[str]) -> float:
    return float(dict(zip(words, [*words][1:], strict=False))["--max-seconds"])


def test_a_sync_ends_before_whoever_waits_for_it_loses_patience() -> None:
    commands = list_commands()
    spec = read_manifests()["CronJob"]["spec"]
    start_s = parse_minutes(read_unit("etl.service")["Service"]["TimeoutStartSec"])

    assert find_max_seconds(commands["crontab 0"]) < PERIOD_S
    assert find_max_seconds(commands["etl.service"]) < start_s < PERIOD_S
    deadline_s = spec["jobTemplate"]["spec"]["activeDeadlineSeconds"]
    assert find_max_seconds(commands["cronjob.yaml"]) < deadline_s < PERIOD_S


def parse_minutes(text: str) -> float:
    return float(text.removesuffix("min")) * 60


def test_the_service_may_do_next_to_nothing() -> None:
    """systemd's own judgement is asked where there is a systemd: make cron."""
    service = read_unit("etl.service")["Service"]

    assert service["User"] == "etl"
    assert service["CapabilityBoundingSet"] == ""
    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")
    assert service["SuccessExitStatus"] == "5 143"
    folder = f"/var/lib/{service['StateDirectory']}"
    assert service["WorkingDirectory"] == folder
    assert f"--metrics {folder}/etl.prom" in service["ExecStart"]
    assert (CRON / "sysusers.conf").read_text().splitlines()[-1].startswith("u etl - ")


def test_the_timer_is_for_the_service() -> None:
    timer = read_unit("etl.timer")

    assert timer["Timer"]["OnCalendar"] == "*:0/15"
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert "Unit" not in timer["Timer"], "a timer without one starts the service of its name"


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_kubernetes_knows_every_field_of_the_manifests(version: str) -> None:
    manifests = read_manifests()

    for document in manifests.values():
        kubernetes_validate.validate(document, version, strict=True)
    assert sorted(manifests) == ["ConfigMap", "CronJob", "PersistentVolumeClaim"]


def test_the_schema_would_find_a_field_that_is_misspelt() -> None:
    cronjob = read_manifests()["CronJob"]
    cronjob["spec"]["concurrencypolicy"] = cronjob["spec"].pop("concurrencyPolicy")

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(cronjob, KUBERNETES_VERSIONS[-1], strict=True)


def test_the_cron_job_runs_alone_without_root_and_on_a_system_it_cannot_write() -> None:
    spec = read_manifests()["CronJob"]["spec"]
    pod = read_pod()
    (container,) = pod["containers"]

    assert spec["concurrencyPolicy"] == "Forbid"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["envFrom"] == [{"secretRef": {"name": "etl-tokens"}}]


def test_what_the_cron_job_mounts_is_there_and_the_store_is_on_the_volume(tmp_path: Path) -> None:
    manifests = read_manifests()
    pod = read_pod()
    mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    (tmp_path / "etl.toml").write_text(manifests["ConfigMap"]["data"]["etl.toml"])

    config = load_config(tmp_path / "etl.toml")

    assert set(mounts) == set(volumes)
    assert volumes["config"]["configMap"]["name"] == manifests["ConfigMap"]["metadata"]["name"]
    claim = volumes["store"]["persistentVolumeClaim"]["claimName"]
    assert claim == manifests["PersistentVolumeClaim"]["metadata"]["name"]
    assert config.store.path.is_relative_to(mounts["store"])
    assert config.store.publish is not None
    assert config.store.publish.is_relative_to(mounts["store"])
    assert [source.token_env for source in config.sources] == ["RIZA_API_KEY"]
    assert dict(list_environment())["ETL_CONFIG"] == f"{mounts['config']}/etl.toml"


def list_environment() -> list[tuple[str, str]]:
    """The variables of the image."""
    texts = [value for instruction, value in read_dockerfile() if instruction == "ENV"]
    return [
        (name, value) for t in texts for name, _, value in (w.partition("=") for w in t.split())
    ]


def test_the_image_holds_what_is_there_and_runs_as_nobody_in_particular() -> None:
    lines = read_dockerfile()
    said: dict[str, Any] = dict(lines)
    copied = [
        name
        for instruction, value in lines
        if instruction == "COPY" and not value.startswith("--from")
        for name in value.split()[:-1]
    ]

    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {".ci/constraints.txt", "pyproject.toml", "etl", "sql"} <= set(copied)
    assert any("'.[report]'" in value for _, value in lines), "every command runs in it"
    user = str(read_pod()["securityContext"]["runAsUser"])
    assert said["USER"].split(":")[0] == user != "0"
    assert json.loads(said["ENTRYPOINT"]) == ["/opt/etl/bin/etl"]
    assert read_pod()["containers"][0]["image"] == f"etl-executions:{__version__}"
    assert f"etl-executions:{__version__}" in (CRON / "Dockerfile").read_text().splitlines()[0]


def test_the_readme_names_each_file() -> None:
    readme = (ROOT / "README.md").read_text()

    assert [path.name for path in CRON.iterdir() if f"cron/{path.name}" not in readme] == []
