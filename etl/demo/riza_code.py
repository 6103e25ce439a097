"""The source text of the functions and scripts that the demo's Riza account runs.

Nothing here is executed. `{placeholders}` are filled from the demo's own credentials: people do
paste keys into code, and a sync must not carry them on.
"""

SCORE_LEAD = '''"""score_lead: how likely is this lead to buy?"""
import math
import os

WEIGHTS = {"employees": 0.21, "visits": 0.34, "trial_days": -0.08, "opened_mails": 0.17}


def execute(input):
    lead = input["lead"]
    total = sum(WEIGHTS[name] * math.log1p(lead.get(name) or 0) for name in WEIGHTS)
    if lead.get("country") in os.environ.get("PRIORITY_COUNTRIES", "").split(","):
        total *= 1.15
    score = 1 / (1 + math.exp(-total))
    print(f"lead {lead['id']}: score {score:.4f}")
    return {"lead_id": lead["id"], "score": round(score, 4), "is_hot": score > 0.8}
'''

PARSE_INVOICE = '''"""parse_invoice: totals of an uploaded invoice."""
import csv
import decimal
import pathlib


def execute(input):
    path = pathlib.Path(input["path"])
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    total = decimal.Decimal("0")
    for number, row in enumerate(rows, start=1):
        try:
            total += decimal.Decimal(row["amount"]) * (1 + decimal.Decimal(row["tax"]) / 100)
        except decimal.InvalidOperation as error:
            raise ValueError(f"line {number}: amount is not a number") from error
    print(f"{path.name}: {len(rows)} lines, total {total:.2f}")
    currency = rows[0]["currency"] if rows else None
    return {"lines": len(rows), "total": str(total), "currency": currency}
'''

SYNC_CONTACTS = """// sync_contacts: from the CRM into the newsletter list
type Contact = { id: string; email: string; name?: string; unsubscribed: boolean };

export async function execute(input: { since: string; dry_run?: boolean }) {
  const base = "https://api.crm.example.com/v3/contacts";
  const contacts: Contact[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ since: input.since, ...(cursor ? { cursor } : {}) });
    const response = await fetch(`${base}?${query}`);
    if (!response.ok) throw new Error(`HTTP ${response.status} from ${base}`);
    const page = await response.json();
    contacts.push(...page.items);
    cursor = page.next;
  } while (cursor && contacts.length < 5000);
  const wanted = contacts.filter((contact) => !contact.unsubscribed && contact.email.includes("@"));
  console.log(`fetched ${contacts.length}, kept ${wanted.length}`);
  return { fetched: contacts.length, kept: wanted.length, rows: wanted.slice(0, 25) };
}
"""

GEOCODE_ADDRESS = """// geocode_address
async function execute(input) {
  const url = "https://maps.example.com/geocode/json?address=" + encodeURIComponent(input.address);
  const response = await fetch(url);
  if (response.status === 429) throw new Error("HTTP 429 from maps.example.com");
  const found = (await response.json()).results[0];
  const { lat, lng } = found.geometry.location;
  console.log(`${input.address} -> ${lat.toFixed(5)},${lng.toFixed(5)}`);
  return { lat, lng, precision: found.geometry.location_type };
}
"""

RENDER_CHART = '''"""render_chart: a revenue chart as base64 PNG."""
import base64
import io

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def execute(input):
    points = np.asarray(input["points"], dtype=float)
    smooth = np.convolve(points, np.ones(7) / 7, mode="same")
    figure, axis = plt.subplots(figsize=(12, 5), dpi=input.get("dpi", 144))
    axis.plot(points, alpha=0.3)
    axis.plot(smooth, linewidth=2)
    axis.set_title(input.get("title", "Revenue"))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()
'''

RESIZE_IMAGES = """// resize_images: thumbnails for a product
import sharp from "sharp";

const WIDTHS = [160, 480, 960];

export async function execute(input: { bucket: string; keys: string[] }) {
  const made: { key: string; width: number; bytes: number }[] = [];
  for (const key of input.keys) {
    const response = await fetch(`https://${input.bucket}.s3.example.com/${key}`);
    const original = Buffer.from(await response.arrayBuffer());
    for (const width of WIDTHS) {
      const thumbnail = await sharp(original).resize({ width }).webp({ quality: 82 }).toBuffer();
      made.push({ key, width, bytes: thumbnail.length });
    }
    console.log(`${key}: ${original.length} bytes in`);
  }
  return made;
}
"""

NIGHTLY_ROLLUP = '''"""nightly_rollup: yesterday's orders, by product and country."""
import os
import sys
import time

import psycopg

QUERY = """
    SELECT product, country, count(*), sum(amount)
    FROM orders WHERE placed_at >= %s AND placed_at < %s GROUP BY 1, 2
"""


def main(day):
    started = time.monotonic()
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '90s'")
        rows = cursor.execute(QUERY, (day, day + "T23:59:59")).fetchall()
        cursor.executemany("INSERT INTO rollup VALUES (%s, %s, %s, %s)", rows)
        connection.commit()
    print(f"{day}: {len(rows)} rows in {time.monotonic() - started:.1f} s")


main(sys.argv[1])
'''

CLEAN_CSV = '''"""clean_csv: normalise names and drop duplicates. Reads stdin, writes stdout."""
import csv
import sys
import unicodedata

seen = set()
reader = csv.DictReader(sys.stdin)
writer = csv.DictWriter(sys.stdout, reader.fieldnames)
writer.writeheader()
for row in reader:
    row["name"] = unicodedata.normalize("NFC", row["name"]).strip().title()
    key = (row["name"], row["email"].lower())
    if "--keep-duplicates" in sys.argv or key not in seen:
        writer.writerow(row)
    seen.add(key)
'''

EXPORT_FEED = """<?php
// export_feed: products as XML for a shopping portal
$limit = (int) ($argv[1] ?? 500);
$rows = json_decode(file_get_contents('php://stdin'), true);
if ($rows === null) { fwrite(STDERR, "invalid JSON: " . json_last_error_msg() . "\\n"); exit(2); }
$feed = new SimpleXMLElement('<feed/>');
foreach (array_slice($rows, 0, $limit) as $row) {
    $item = $feed->addChild('item');
    $item->addChild('id', $row['id']);
    $item->addChild('title', htmlspecialchars($row['name'], ENT_XML1 | ENT_QUOTES, 'UTF-8'));
    $item->addChild('price', number_format($row['price'] / 100, 2, '.', '') . ' EUR');
}
echo $feed->asXML();
"""

LINT_TEMPLATES = """# lint_templates: unclosed tags and unknown variables in mail templates
require 'json'
require 'set'

KNOWN = Set.new(%w[first_name last_name plan renewal_date unsubscribe_url])
problems = []
Dir.glob('templates/**/*.liquid').sort.each do |path|
  text = File.read(path)
  text.scan(/\\{\\{\\s*(\\w+)/).flatten.uniq.each do |name|
    problems << { path: path, message: "unknown variable #{name}" } unless KNOWN.include?(name)
  end
  opened, closed = text.scan('{%').size, text.scan('%}').size
  problems << { path: path, message: 'unclosed tag' } if opened != closed
end
puts JSON.pretty_generate(problems)
exit(problems.empty? ? 0 : 1)
"""

SCRAPE_PRICES = """// scrape_prices: competitor prices, one page after the other
const cheerio = require("cheerio");

(async () => {
  const pages = Number(process.argv[2] || 10);
  const prices = [];
  for (let page = 1; page <= pages; page += 1) {
    const response = await fetch(`https://shop.example.net/list?page=${page}`);
    if (!response.ok) throw new Error(`HTTP ${response.status} on page ${page}`);
    const $ = cheerio.load(await response.text());
    $(".product").each((_, node) => {
      prices.push({ sku: $(node).data("sku"), price: parseFloat($(node).find(".price").text()) });
    });
    console.log(`page ${page}: ${prices.length} prices so far`);
  }
  console.log(JSON.stringify(prices.filter(({ price }) => price > 0 && price < 1e6)));
})();
"""

AGENT_SNIPPETS = (
    """import pandas as pd

orders = pd.read_csv("orders.csv", parse_dates=["placed_at"])
monthly = orders.set_index("placed_at").resample("M")["amount"].agg(["sum", "count"])
print(monthly.tail(12).to_string())
""",
    """import statistics
values = [float(line) for line in open("values.txt") if line.strip()]
print("mean", statistics.fmean(values), "p95", statistics.quantiles(values, n=20)[-1])
""",
    """import requests
session = requests.Session()
session.headers["Authorization"] = "Bearer {github_token}"
url = "https://api.github.com/repos/acme/shop/issues?state=open"
open_issues = session.get(url, timeout=10).json()
for issue in sorted(open_issues, key=lambda issue: issue["comments"], reverse=True)[:10]:
    print(issue["number"], issue["title"], issue["comments"])
""",
    """from collections import Counter
import re
words = Counter(re.findall(r"[a-zäöüß]+", open("feedback.txt", encoding="utf-8").read().lower()))
for word, count in words.most_common(30):
    print(f"{{count:6d}}  {{word}}")
""",
    """from datetime import date, timedelta
start = date(2026, 1, 1)
holidays = {{date(2026, 4, 3), date(2026, 4, 6), date(2026, 5, 1)}}
days = [start + timedelta(n) for n in range(365)]
working = [day for day in days if day.weekday() < 5 and day not in holidays]
print(len(working), "working days")
""",
)
