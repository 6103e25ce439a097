"""The workflows of the demo's B3OS organization, and what their executions carry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl.demo.chance import Draws, make_key, make_secret

Record = dict[str, Any]

SECRET_SHAPES = {
    "rpc_key": ("", 32),
    "exchange_api_key": ("", 40),
    "exchange_secret": ("", 64),
    "callback_token": ("whsec_", 32),
    "mail_key": ("SG.", 44),
}


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow: `run_ms` is the median time of a run, rates are shares of executions."""

    name: str
    weight: float
    is_paid: bool
    run_ms: float
    failure_rate: float
    partial_rate: float
    wait_rate: float
    source_system: str
    entity_type: str
    nodes: tuple[str, ...]


WORKFLOWS = (
    Workflow("swap_tokens", 22, True, 9_000, 0.07, 0.0, 0.0, "checkout", "order",
             ("quote", "approve", "swap", "notify")),
    Workflow("mint_badge", 24, False, 4_500, 0.02, 0.0, 0.0, "campaign", "wallet",
             ("check", "mint", "notify")),
    Workflow("payout_affiliates", 8, False, 65_000, 0.05, 0.09, 0.30, "backoffice", "payout",
             ("collect", "approve", "transfer", "report")),
    Workflow("bridge_funds", 14, True, 180_000, 0.08, 0.01, 0.0, "checkout", "order",
             ("lock", "wait_finality", "release", "notify")),
    Workflow("rebalance_pool", 18, False, 22_000, 0.04, 0.02, 0.0, "scheduler", "pool",
             ("read_prices", "plan", "trade")),
    Workflow("onboard_merchant", 6, True, 30_000, 0.03, 0.04, 0.45, "portal", "merchant",
             ("verify", "review", "create_wallet", "mail")),
    Workflow("sync_prices", 8, False, 2_200, 0.12, 0.0, 0.0, "scheduler", "feed",
             ("fetch", "store")),
)  # fmt: skip

FAILURE_REASONS = (
    "node {node} failed: insufficient funds for gas * price + value",
    "node {node} failed: execution reverted: slippage too high",
    "node {node} failed: upstream returned HTTP 503",
    "node {node} failed: rate limited by RPC provider (HTTP 429)",
    "node {node} failed: nonce too low",
    "node {node} timed out after 120s",
)
CHAINS = ("base", "ethereum", "arbitrum", "b3", "polygon")
TOKENS = ("USDC", "ETH", "B3", "WBTC", "DAI")


def make_vault(seed: int) -> dict[str, str]:
    """The organization's credentials by label: the same in every execution that uses them."""
    key = make_key(seed, "b3os/vault")
    return {
        label: make_secret(key, label, prefix, length)
        for label, (prefix, length) in SECRET_SHAPES.items()
    }


def make_request_payload(workflow: Workflow, numbers: Draws, vault: Mapping[str, str]) -> Record:
    """What started the execution: any keys, with credentials among them."""
    a, b, c, d = numbers
    payload: Record = {
        "chain": CHAINS[a % len(CHAINS)],
        "token": TOKENS[b % len(TOKENS)],
        "amount": f"{c / 97:.6f}",
        "wallet": f"0x{a:04x}{b:04x}{c:04x}{d:04x}{'0' * 16}{d:04x}{c:04x}",
    }
    if workflow.source_system == "checkout":
        payload["callback"] = {
            "url": f"https://shop{d % 40}.example.com/hooks/b3",
            "authToken": vault["callback_token"],
        }
    if workflow.name == "rebalance_pool":
        payload["exchange"] = {
            "apiKey": vault["exchange_api_key"],
            "apiSecret": vault["exchange_secret"],
            "pairs": [f"{TOKENS[n]}/USDC" for n in range(1, 2 + a % 4)],
        }
    if workflow.name == "onboard_merchant":
        payload["mail"] = {"from": "welcome@example.com", "sendgridApiKey": vault["mail_key"]}
    if workflow.name == "sync_prices":
        payload["rpcUrl"] = f"https://rpc.example.com/v2/{vault['rpc_key']}"
    return payload


def make_response_payload(workflow: Workflow, status: str, numbers: Draws) -> Record:
    """What a finished run gave back."""
    a, b, c, d = numbers
    if status == "workflow_partial":
        return {"ok": 1 + a % 9, "failed": 1 + b % 3, "failedNode": workflow.nodes[-1]}
    return {
        "txHash": "0x" + f"{a:04x}{b:04x}{c:04x}{d:04x}" * 4,
        "gasUsed": 21_000 + c * 3,
        "nodes": {node: "success" for node in workflow.nodes},
    }
