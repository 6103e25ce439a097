"""cron/ as the machine's own tools judge it: `make cron` brings them, `make test` goes without."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etl.demo.server import DemoServer, DemoSettings, start_server
from tests.cron.files import CRON, ROOT, read_dockerfile, read_unit

EXPOSURE_MAX = 1.5
"""Of 10; systemd calls a service without any of the lines exposed by 9.6."""
PROGRAMS = Path(sys.executable).parent
PATIENCE_S = 300.0


def run(*command: str | Path, **options: object) -> str:
    """What a command says; it must end with 0."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}"
    said: str = done.stdout
    return said


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, of a program that is installed here."""
    for name in ("etl.service", "etl.timer"):
        text = (CRON / name).read_text().replace("/opt/etl/bin", str(PROGRAMS))
        (tmp_path / name).write_text(text)
    return tmp_path


def test_systemd_understands_the_units(units: Path) -> None:
    said = run("systemd-analyze", "verify", "--man=no", units / "etl.service", units / "etl.timer")

    assert str(units) not in said
    assert "etl.service" not in said


def test_systemd_would_find_a_key_that_is_misspelt(units: Path) -> None:
    service = units / "etl.service"
    service.write_text(service.read_text().replace("ProtectHome=", "ProtectHomes="))

    assert "ProtectHomes" in run("systemd-analyze", "verify", "--man=no", service)


def test_systemd_finds_the_service_hardly_exposed(units: Path) -> None:
    said = run("systemd-analyze", "security", "--offline=true", "--no-pager", units / "etl.service")

    (exposure,) = re.findall(r"Overall exposure level for etl\.service: ([0-9.]+)", said)
    assert float(exposure) <= EXPOSURE_MAX, said


def test_the_user_can_be_made() -> None:
    assert "'etl'" in run("systemd-sysusers", "--dry-run", "--no-pager", CRON / "sysusers.conf")


def test_cron_takes_the_crontab(tmp_path: Path) -> None:
    usage = subprocess.run(["crontab", "-h"], capture_output=True, text=True, check=False).stderr
    dry_run = "-T" if "-T" in usage else "-n"
    (tmp_path / "bad").write_text("99 * * * *  true\n")

    run("crontab", dry_run, CRON / "crontab")
    with pytest.raises(AssertionError, match="bad"):
        run("crontab", dry_run, tmp_path / "bad")


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    assert run(PROGRAMS / "hadolint", CRON / "Dockerfile") == ""


def test_the_steps_of_the_dockerfile_make_a_program_that_runs(tmp_path: Path) -> None:
    """Without Docker: the first stage, line by line, in a folder in the place of the root."""
    environ = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    environ |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    lines = read_dockerfile()
    for instruction, value in lines[: lines.index(("FROM", "python:3.13-slim-trixie"))]:
        value = value.replace("/src", f"{tmp_path}/src").replace("/opt", f"{tmp_path}/opt")
        folder = tmp_path / "src"
        folder.mkdir(exist_ok=True)
        if instruction == "COPY":
            *names, target = value.split()
            copy_all(names, folder / target)
        elif instruction == "ENV":
            environ |= dict(word.split("=", 1) for word in value.split())
        elif instruction == "RUN":
            run("sh", "-c", value, cwd=folder, env=environ)

    program = tmp_path / "opt/etl/bin/etl"
    assert run(program, "--version").startswith("etl, version ")
    assert "failure_rate_daily" in run(program, "views")
    run(program, "demo", "--executions", "60", cwd=tmp_path)
    run(program, "--config", "demo/etl.toml", "report", "report.html", cwd=tmp_path)
    assert "<svg" in (tmp_path / "report.html").read_text()


def copy_all(names: Sequence[str], target: Path) -> None:
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target)
        else:
            place = target / name if target.is_dir() else target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place)


def list_filtered() -> set[str]:
    """The system calls that the service may make."""
    allowed: set[str] = set()
    for line in (CRON / "etl.service").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "SystemCallFilter":
            calls = {call for group in value.lstrip("~").split() for call in expand(group)}
            allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


def expand(group: str) -> set[str]:
    """The calls of a group of systemd's, those of the groups in it included."""
    said = run("systemd-analyze", "--no-pager", "syscall-filter", group)
    found = set()
    for line in said.splitlines()[1:]:
        name = line.strip()
        found |= expand(name) if name.startswith("@") else {name} - {"", "#"}
    return {name for name in found if not name.startswith("#")}


def sync_traced(folder: Path, server: DemoServer) -> list[str]:
    """The system calls of the service's command, as strace writes them."""
    (folder / "etl.toml").write_text(
        '[store]\npath = "executions.duckdb"\npublish = "copy.duckdb"\n'
        f'[sources.interpreter]\nkind = "riza"\nbase_url = "{server.base_url}/riza"\n'
        'token_env = "DEMO_TOKEN"\n'
    )
    command = read_unit("etl.service")["Service"]["ExecStart"]
    command = command.replace("/opt/etl/bin", str(PROGRAMS)).replace("/etc/etl", str(folder))
    words = shlex.split(command.replace("/var/lib/etl", str(folder)))
    for _ in range(2):
        run(
            "strace", "-f", "-qq", "-A", "-o", folder / "calls", *words,
            cwd=folder, env={"DEMO_TOKEN": server.settings.token},
        )  # fmt: skip
    return (folder / "calls").read_text().splitlines()


def test_what_a_sync_does_passes_the_filter_of_the_service(tmp_path: Path) -> None:
    settings = DemoSettings(platforms=("riza",), executions=300)
    with start_server(settings, now=lambda: datetime.now(UTC)) as server:
        lines = sync_traced(tmp_path, server)

    calls = {found[1] for line in lines if (found := re.match(r"\d+ +(\w+)\(", line))}
    assert "chown" not in list_filtered()
    # The owner of a copy is kept where that is allowed, and else left.
    assert calls - list_filtered() <= {"fchown", "chown"}
    assert {"execve", "connect", "fsync"} <= calls
    # MemoryDenyWriteExecute
    assert not [line for line in lines if re.search(r"mprotect\(.*PROT_EXEC", line)]
    assert not [line for line in lines if re.search(r"mmap\(.*PROT_WRITE\|PROT_EXEC", line)]
    assert (tmp_path / "copy.duckdb").exists()
    assert (tmp_path / "etl.prom").exists()
