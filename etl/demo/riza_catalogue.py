"""What the demo's Riza account runs: tools, functions, scripts, and their credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl.demo import riza_code as code
from etl.demo.chance import make_key, make_secret

Record = dict[str, Any]

# label -> prefix, number of characters behind it
SECRET_SHAPES = {
    "openai_key": ("sk-proj-", 48),
    "stripe_key": ("sk_live_", 24),
    "github_token": ("ghp_", 36),
    "slack_token": ("xoxb-", 44),
    "maps_key": ("AIza", 35),
    "crm_token": ("pat-eu1-", 36),
    "orders_key": ("", 40),
    "storage_key": ("AKIA", 16),
    "storage_secret": ("", 40),
    "database_password": ("", 18),
    "mail_password": ("", 16),
    "proxy_password": ("", 20),
    "portal_password": ("", 12),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing that is run again and again. `duration_ms` is its median, `weight` its share.

    Texts in `env` and `auth` may name a credential in braces. `auth` maps a host to
    its kind of authentication; `request` and `output` name the makers in `riza_payloads`.
    """

    name: str
    kind: str
    language: str
    weight: float
    failure_rate: float
    duration_ms: float
    failures: tuple[str, ...]
    request: str
    output: str
    code: str = ""
    env: tuple[tuple[str, str], ...] = ()
    auth: tuple[tuple[str, str, str], ...] = ()
    calls_out: bool = False
    timeout_s: int = 30
    memory_mib: int = 128
    stdout_bytes: float = 500.0


TOOLS = (
    Workload(
        "enrich_company", "tool", "python", 13, 0.055, 640,
        ("http_429", "http_429", "http_503", "timeout", "key_error"), "company", "object",
        env=(("REGION", "eu1"), ("OPENAI_API_KEY", "{openai_key}"), ("CRM_TOKEN", "secret:crm")),
        auth=(("api.crm.example.com", "bearer", "{crm_token}"),), calls_out=True, stdout_bytes=420,
    ),
    Workload(
        "classify_ticket", "tool", "python", 15, 0.03, 1_450,
        ("http_429", "timeout", "not_serializable", "key_error"), "ticket", "labels",
        env=(("OPENAI_API_KEY", "{openai_key}"), ("MODEL", "small-2"), ("LOG_LEVEL", "info")),
        auth=(("api.openai.com", "secret_bearer", "openai"),), calls_out=True, stdout_bytes=350,
    ),
    Workload(
        "search_orders", "tool", "typescript", 8, 0.04, 210,
        ("http_503", "type_error", "http_429", "not_serializable"), "order_query", "rows",
        env=(("ORDERS_SHARD", "7"),), auth=(("orders.example.com", "query", "{orders_key}"),),
        calls_out=True, stdout_bytes=300,
    ),
    Workload(
        "send_invoice", "tool", "javascript", 5, 0.02, 520,
        ("reset", "http_503", "reference_error"), "invoice_mail", "accepted",
        env=(("SMTP_PASSWORD", "{mail_password}"), ("SMTP_HOST", "mail.example.com")),
        auth=(("mail.example.com", "basic", "{mail_password}"),), calls_out=True, stdout_bytes=180,
    ),
)  # fmt: skip
FUNCTIONS = (
    Workload(
        "score_lead", "function", "python", 14, 0.012, 45, ("key_error", "not_serializable"),
        "lead", "score", code.SCORE_LEAD, env=(("PRIORITY_COUNTRIES", "DE,AT,CH,FR"),),
        memory_mib=128, stdout_bytes=120,
    ),
    Workload(
        "parse_invoice", "function", "python", 8, 0.09, 380,
        ("value_error", "no_file", "zero_division", "not_serializable"), "invoice_file", "invoice",
        code.PARSE_INVOICE, env=(("PORTAL_PASSWORD", "{portal_password}"),), stdout_bytes=260,
    ),
    Workload(
        "sync_contacts", "function", "typescript", 5, 0.11, 4_200,
        ("http_429", "http_429", "http_503", "reset", "timeout", "compile"), "contacts", "contacts",
        code.SYNC_CONTACTS, env=(("SLACK_TOKEN", "{slack_token}"), ("STAGE", "production")),
        auth=(("api.crm.example.com", "header", "{crm_token}"),), calls_out=True, timeout_s=60,
        memory_mib=256, stdout_bytes=900,
    ),
    Workload(
        "geocode_address", "function", "javascript", 6, 0.06, 160,
        ("type_error", "http_429", "http_429"), "address", "coordinates", code.GEOCODE_ADDRESS,
        auth=(("maps.example.com", "query", "{maps_key}"),), calls_out=True, stdout_bytes=110,
    ),
    Workload(
        "render_chart", "function", "python", 3, 0.08, 2_600,
        ("memory", "timeout", "zero_division"), "points", "image", code.RENDER_CHART,
        memory_mib=512, stdout_bytes=60,
    ),
    Workload(
        "resize_images", "function", "typescript", 2, 0.05, 3_100,
        ("timeout", "reset", "type_error"), "images", "rows", code.RESIZE_IMAGES,
        env=(
            ("AWS_ACCESS_KEY_ID", "{storage_key}"), ("AWS_SECRET_ACCESS_KEY", "{storage_secret}"),
        ),
        auth=(("media.s3.example.com", "none", ""),), calls_out=True, timeout_s=60,
        memory_mib=1_024, stdout_bytes=700,
    ),
)  # fmt: skip
SCRIPTS = (
    Workload(
        "nightly_rollup", "script", "python", 4, 0.05, 9_500, ("database", "timeout", "memory"),
        "day_argument", "log", code.NIGHTLY_ROLLUP, timeout_s=120, memory_mib=512,
        env=(
            ("DATABASE_URL", "postgresql://rollup:{database_password}@db.example.internal:5432/shop"),
            ("TZ", "UTC"),
        ), stdout_bytes=1_600,
    ),
    Workload(
        "clean_csv", "script", "python", 5, 0.02, 130, ("key_error", "value_error"),
        "csv_stdin", "csv", code.CLEAN_CSV, stdout_bytes=1_400,
    ),
    Workload(
        "agent_snippet", "script", "python", 9, 0.19, 900,
        ("no_module", "no_file", "syntax", "key_error", "zero_division", "timeout"),
        "snippet", "log", "", auth=(("api.github.com", "bearer", "{github_token}"),),
        stdout_bytes=600,
    ),
    Workload(
        "scrape_prices", "script", "javascript", 3, 0.13, 8_200,
        ("timeout", "timeout", "http_503", "http_429", "type_error"), "pages_argument", "log",
        code.SCRAPE_PRICES,
        env=(("HTTPS_PROXY", "http://shop:{proxy_password}@proxy.example.net:3128"),),
        auth=(("shop.example.net", "basic", "{proxy_password}"),), calls_out=True,
        stdout_bytes=2_400,
    ),
    Workload(
        "lint_templates", "script", "ruby", 2, 0.16, 240, ("findings", "findings", "no_method"),
        "template_files", "log", code.LINT_TEMPLATES, stdout_bytes=500,
    ),
    Workload(
        "export_feed", "script", "php", 2, 0.04, 310, ("type_error", "bad_json"),
        "feed_stdin", "log", code.EXPORT_FEED, env=(("STRIPE_KEY", "{stripe_key}"),),
        stdout_bytes=3_000,
    ),
)  # fmt: skip
WORKLOADS = TOOLS + FUNCTIONS + SCRIPTS


def make_vault(seed: int) -> dict[str, str]:
    """The account's credentials by label: the same in every execution that uses them."""
    key = make_key(seed, "riza/vault")
    return {
        label: make_secret(key, label, prefix, length)
        for label, (prefix, length) in SECRET_SHAPES.items()
    }


def make_fixed_request(
    workload: Workload, vault: Mapping[str, str], ids: Mapping[str, str]
) -> Record:
    """The part of the request that is the same in each execution of a workload.

    `ids` maps the names of stored secrets to their `secret_id`.
    """
    request: Record = {}
    if workload.env:
        make = _make_env_list if workload.kind == "tool" else _make_env_map
        request["env"] = make(workload, vault, ids)
    if workload.auth:
        request["http"] = {"allow": [_make_allow(entry, vault, ids) for entry in workload.auth]}
    if workload.kind == "tool":
        return request
    request["language"] = workload.language
    request["limits"] = {
        "execution_timeout": workload.timeout_s,
        "memory_size": workload.memory_mib,
    }
    return request


def _make_env_list(
    workload: Workload, vault: Mapping[str, str], ids: Mapping[str, str]
) -> list[Record]:
    return [
        {"name": name, "secret_id": ids[value.removeprefix("secret:")]}
        if value.startswith("secret:")
        else {"name": name, "value": value.format_map(vault)}
        for name, value in workload.env
    ]


def _make_env_map(
    workload: Workload, vault: Mapping[str, str], ids: Mapping[str, str]
) -> dict[str, str]:
    return {name: value.format_map(vault) for name, value in workload.env}


def _make_allow(
    entry: tuple[str, str, str], vault: Mapping[str, str], ids: Mapping[str, str]
) -> Record:
    host, kind, secret = entry
    if kind == "none":
        return {"host": host}
    if kind == "secret_bearer":
        return {"auth": {"bearer": {"secret_id": ids[secret]}}, "host": host}
    value = secret.format_map(vault)
    forms: dict[str, Record] = {
        "bearer": {"token": value},
        "basic": {"password": value, "user_id": "svc-" + host.split(".")[0]},
        "query": {"key": "api_key", "value": value},
        "header": {"name": "X-Api-Key", "value": value},
    }
    return {"auth": {kind: forms[kind]}, "host": host}
