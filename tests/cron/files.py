"""The files of cron/, as the programs read that use them."""

import configparser
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from crontab import CronItem, CronTab
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parent.parent.parent
CRON = ROOT / "cron"
Words = Sequence[str]


def read_crontab() -> CronTab:
    return CronTab(tab=(CRON / "crontab").read_text())


def list_jobs() -> list[CronItem]:
    """The lines of the crontab, those included that are there to be switched on."""
    return [job for job in read_crontab() if job.command.split()]


def read_unit(name: str) -> dict[str, dict[str, str]]:
    """The sections of a systemd unit; a key that is given again has its last value."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string((CRON / name).read_text())
    return {section: dict(parser[section]) for section in parser.sections()}


def read_manifests() -> dict[str, Any]:
    """The documents of cronjob.yaml, by kind."""
    documents = yaml.safe_load_all((CRON / "cronjob.yaml").read_text())
    return {document["kind"]: document for document in documents}


def read_pod() -> Any:
    return read_manifests()["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def read_dockerfile() -> list[tuple[str, str]]:
    """Instructions and what they say, in order."""
    parser = DockerfileParser(str(CRON / "Dockerfile"))
    return [
        (line["instruction"], line["value"])
        for line in parser.structure
        if line["instruction"] != "COMMENT"
    ]


def list_commands() -> dict[str, Words]:
    """Each command line of etl that stands in a file, with the words behind `etl`."""
    found: dict[str, Words] = {}
    for number, job in enumerate(list_jobs()):
        (words,) = re.findall(r"\betl ([a-z][^>|;&]*)", job.command)
        found[f"crontab {number}"] = shlex.split(words)
    found["etl.service"] = shlex.split(read_unit("etl.service")["Service"]["ExecStart"])[1:]
    found["cronjob.yaml"] = read_pod()["containers"][0]["args"]
    found["Dockerfile"] = json.loads(dict(read_dockerfile())["CMD"])
    return found
