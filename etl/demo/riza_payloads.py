"""What goes in and comes out of the demo's Riza executions: inputs, outputs, standard output.

Each maker is a pure function of an execution's numbers (see `chance.draw`). A maker for requests
adds to the fixed part of the request; a maker for outputs gives any JSON value.
"""

from collections.abc import Callable, Mapping
from typing import Any

from etl.demo.chance import Draws, log_normal
from etl.demo.riza_catalogue import Record
from etl.demo.riza_code import AGENT_SNIPPETS

CITIES = (
    "Köln",
    "Zürich",
    "Łódź",
    "São Paulo",
    "東京",
    "Reykjavík",
    "Lyon",
    "Dublin",
    "Graz",
    "Oslo",
)
NAMES = (
    "Ada",
    "Grace",
    "Linus",
    "Margaret",
    "Edsger",
    "Barbara",
    "Donald",
    "Radia",
    "Ken",
    "Frances",
)
COUNTRIES = ("DE", "FR", "AT", "CH", "US", "JP", "BR", "PL", "IE", "NO")
LABELS = ("billing", "bug", "question", "refund", "outage", "feature", "spam", "onboarding")
PRODUCTS = ("lamp", "chair", "desk", "shelf", "rug", "mirror", "clock", "vase")

ROWS = tuple(
    {
        "id": 100_000 + number * 7_919 % 899_981,
        "name": f"{NAMES[number * 3 % 10]} {PRODUCTS[number * 5 % 8]}",
        "country": COUNTRIES[number * 7 % 10],
        "amount": (number * 104_729 % 99_991) / 100,
        "is_paid": number % 9 != 0,
        "note": None if number % 3 else f"Lieferung nach {CITIES[number % 10]} – bitte klingeln",
    }
    for number in range(256)
)
CSV_HEAD = "name,email,city\n"
CSV_ROWS = tuple(
    f"{NAMES[number % 10].lower()} {number},user{number * 31 % 997}@mail.example.com,"
    f"{CITIES[number % 10]}\n"
    for number in range(256)
)
_WORDS = ("fetched", "parsed", "wrote", "skipped", "retried", "cached", "merged", "checked")
LOG = "".join(
    f"[{number % 24:02}:{number * 7 % 60:02}:{number * 13 % 60:02}] INFO  worker-{number % 6} "
    f"{_WORDS[number * 5 % 8]} {number * 7_919 % 9_973} records in {number * 31 % 887} ms "
    f"(page {number % 400}, {PRODUCTS[number % 8]}/{COUNTRIES[number % 10]})\n"
    for number in range(1_600)
)
LOG_HALF = len(LOG) // 2
STDOUT_BYTES_MAX = 65_536


def take_log(median_bytes: float, size: int, place: int) -> str:
    """Whole lines of the log: about a log-normal number of characters, from a place of its own."""
    length = min(int(log_normal(median_bytes, 1.1, size)), STDOUT_BYTES_MAX)
    start = LOG.find("\n", place * LOG_HALF >> 16) + 1
    end = LOG.find("\n", start + length) + 1
    return LOG[start:end] if end else LOG[start:]


def _take_rows(size: int, place: int) -> list[Any]:
    count = min(int(log_normal(4.0, 0.8, size)), 60)
    start = place & 127
    return list(ROWS[start : start + count])


def _take_csv(size: int, place: int) -> str:
    count = min(int(log_normal(12.0, 0.9, size)), 120)
    start = place & 127
    return CSV_HEAD + "".join(CSV_ROWS[start : start + count])


def _ask_company(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, c, _ = numbers
    name = PRODUCTS[a & 7]
    fields = ["size", "industry", "city"]
    return {
        "input": {"domain": f"{name}{b % 997}.example.com", "fields": fields, "depth": 1 + c % 3}
    }


def _ask_ticket(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, c, _ = numbers
    text = f"Hallo, mein {PRODUCTS[a & 7]} aus Bestellung {b} kam nicht in {CITIES[c % 10]} an. "
    return {"input": {"ticket_id": b, "subject": f"Order {b}", "body": text * (1 + c % 4)}}


def _ask_orders(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, c, _ = numbers
    return {
        "input": {
            "filter": {"country": COUNTRIES[a % 10], "paid": bool(b & 1), "min_amount": b % 500},
            "sort": ["-amount", "id"],
            "limit": 1 + c % 60,
        }
    }


def _ask_invoice_mail(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, _, _ = numbers
    return {
        "input": {
            "to": f"{NAMES[a % 10].lower()}@customer{b % 89}.example.com",
            "invoice": f"2026-{b:05}",
            "smtp": {"user": "billing", "password": vault["mail_password"]},
        }
    }


def _ask_lead(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, c, d = numbers
    return {
        "input": {
            "lead": {
                "id": a,
                "employees": b % 4_000,
                "visits": c % 90,
                "country": COUNTRIES[d % 10],
            }
        }
    }


def _ask_invoice_file(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, c, _ = numbers
    path = f"upload/invoice-{a}.csv"
    lines = "".join(f"{row['name']},{row['amount']},19,EUR\n" for row in _take_rows(b, c))
    login = {"user": "acme", "password": vault["portal_password"]}
    return {
        "files": [{"contents": "text,amount,tax,currency\n" + lines, "path": path}],
        "input": {"path": path, "portal": login} if a % 4 == 0 else {"path": path},
    }


def _ask_contacts(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, _, _ = numbers
    return {"input": {"since": f"2026-{1 + a % 12:02}-{1 + b % 28:02}", "dry_run": a % 11 == 0}}


def _ask_address(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, c, _ = numbers
    return {
        "input": {"address": f"{PRODUCTS[a & 7].title()}straße {1 + b % 200}, {CITIES[c % 10]}"}
    }


def _ask_points(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, c, _ = numbers
    points = [(a * place + b) % 9_973 / 10 for place in range(30 + c % 120)]
    return {"input": {"points": points, "title": f"Umsatz {CITIES[a % 10]}", "dpi": 144}}


def _ask_images(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, _, _ = numbers
    return {"input": {"bucket": "media", "keys": [f"{b + n}/{n}.jpg" for n in range(1 + a % 8)]}}


def _ask_day(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, _, _ = numbers
    return {"args": [f"2026-{1 + a % 12:02}-{1 + b % 28:02}"], "stdin": ""}


def _ask_csv(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, c, _ = numbers
    return {"args": ["--keep-duplicates"] if a % 5 == 0 else [], "stdin": _take_csv(b, c)}


def _ask_snippet(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, _, _ = numbers
    source = AGENT_SNIPPETS[a % len(AGENT_SNIPPETS)].format_map(vault)
    files = [{"contents": "".join(f"{n}\n" for n in range(b % 40)), "path": "values.txt"}]
    return {"code": source, "files": files} if a & 1 else {"code": source}


def _ask_pages(numbers: Draws, vault: Mapping[str, str]) -> Record:
    return {"args": [str(1 + numbers[0] % 40)]}


def _ask_templates(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, _, _ = numbers
    text = "Hallo {{ first_name }},\n{% if plan %}Ihr Tarif: {{ plan }}{% endif %}\n"
    names = ("welcome", "renewal", "reminder", "goodbye")
    paths = [f"templates/{names[(a + n) % 4]}.liquid" for n in range(1 + b % 4)]
    return {"files": [{"contents": text, "path": path} for path in paths]}


def _ask_feed(numbers: Draws, vault: Mapping[str, str]) -> Record:
    a, b, c, _ = numbers
    products = ",".join(
        f'{{"id":{row["id"]},"name":"{row["name"]}","price":{row["id"] % 50_000}}}'
        for row in _take_rows(b, c)
    )
    return {"args": [str(100 + a % 900)], "stdin": f"[{products}]"}


REQUESTS: Mapping[str, Callable[[Draws, Mapping[str, str]], Record]] = {
    "company": _ask_company,
    "ticket": _ask_ticket,
    "order_query": _ask_orders,
    "invoice_mail": _ask_invoice_mail,
    "lead": _ask_lead,
    "invoice_file": _ask_invoice_file,
    "contacts": _ask_contacts,
    "address": _ask_address,
    "points": _ask_points,
    "images": _ask_images,
    "day_argument": _ask_day,
    "csv_stdin": _ask_csv,
    "snippet": _ask_snippet,
    "pages_argument": _ask_pages,
    "template_files": _ask_templates,
    "feed_stdin": _ask_feed,
}


def _give_object(a: int, b: int) -> Any:
    return {"size": a % 5_000, "industry": PRODUCTS[b & 7], "city": CITIES[a % 10], "sources": [
        {"url": f"https://{PRODUCTS[n]}.example.com/{b}", "weight": (a >> n) % 100 / 100}
        for n in range(1 + b % 3)]}  # fmt: skip


def _give_labels(a: int, b: int) -> Any:
    return [LABELS[a & 7]] if b & 1 else [LABELS[a & 7], LABELS[b % 8]]


def _give_coordinates(a: int, b: int) -> Any:
    return {"lat": a * 180 / 65_536 - 90, "lng": b * 360 / 65_536 - 180, "precision": "ROOFTOP"}


OUTPUTS: Mapping[str, Callable[[int, int], Any]] = {
    "object": _give_object,
    "labels": _give_labels,
    "rows": _take_rows,
    "accepted": lambda a, b: None if a % 5 == 0 else f"250 2.0.0 Ok: queued as {a:04X}{b:04X}",
    "score": lambda a, b: {"lead_id": a, "score": b / 65_536, "is_hot": b > 52_428},
    "invoice": lambda a, b: {"lines": 1 + a % 40, "total": f"{b / 7:.2f}", "currency": "EUR"},
    "contacts": lambda a, b: {"fetched": b, "kept": b - b % 97, "rows": _take_rows(a, b)},
    "coordinates": _give_coordinates,
    "image": lambda a, b: "iVBORw0KGgo" + f"{a:04x}{b:04x}AAAA" * (40 + a % 160),
}
