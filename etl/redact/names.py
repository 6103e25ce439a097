"""Which key names mean that a secret follows: `password`, `openaiApiKey`, `x-api-key`, …

A name is split into words (snake, kebab, dotted, camel case), so that `monkey`, `author` or
`primary_key` are not mistaken for secrets, and `DB_PASSWORD` or `githubAccessTokens` are found.
"""

import re
from enum import IntEnum
from functools import lru_cache


class Secrecy(IntEnum):
    """What a key name says of the value below it."""

    PLAIN = 0
    SECRET = 1
    UNLESS_NUMBER = 2
    """`tokens` counts what a language model read, unless it is text."""
    TYPED = 3
    """An environment or authorisation: all of it but the labels."""
    LABEL = 4
    """A name or id: not secret inside what is TYPED."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_SECRET_WORDS = _words(
    "password passwords passwd pwd pass passphrase passphrases passcode passcodes secret secrets "
    "credential credentials cred creds authorization authentication auth token cookie cookies "
    "jwt jwts bearer apikey apikeys"
)
_SECRET_ENDINGS = re.compile(
    r"(?:password|passwd|passphrase|secret|apikey|accesskey|privatekey|secretkey|signingkey"
    r"|encryptionkey|accountkey|authkey|sharedkey|masterkey|licensekey|subscriptionkey|sshkey"
    r"|token|auth|credential|cookie|sessionid|sessid|sessionkey|(?:ssh|db|user|smtp|root|key)pass"
    r"|pwd)s?$|password"
)
"""Names written as one word: `dbpassword`, `phpsessid`, `openaiapikey`."""

_KEY_OWNERS = _words(
    "api access private secret signing sign encryption encrypt crypto aes rsa ssh gpg pgp tls ssl "
    "auth account license licence master shared service deploy storage subscription session admin "
    "root client consumer app application hmac jwt token webhook server bot user sas team ai "
    "openai anthropic claude gemini mistral cohere groq stripe aws azure gcp google github gitlab "
    "slack twilio sendgrid mailgun mailchimp datadog cloudflare pinecone supabase firebase algolia "
    "heroku sentry telegram discord paypal square plaid shopify hubspot notion airtable"
)
"""`key` alone means nothing; after one of these words it opens something."""

_SESSION_PARTS = frozenset({"id", "key", "token", "cookie", "value"})

_DESCRIBING = _words(
    "count counts length len size limit limits type types policy name names expiry expires "
    "expiration expired ttl at in on status usage used total max min version format url uri "
    "endpoint error errors enabled required valid field label kind method mode source consent "
    "domain id ids"
)
"""A last word that makes the value something *about* a secret: `token_type`, `secret_name`."""

_COUNTING = _words(
    "max min num number total prompt completion input output cached reasoning used avg mean per "
    "remaining new generated eos bos pad unk stop special audio text"
)
"""Words that make `tokens` a quantity: `max_tokens`, `prompt_tokens`."""

_ENVIRONMENT_WORDS = _words(
    "env envs environ environment environments envvar envvars dotenv auth oauth basicauth httpauth "
    "authorization authentication credential credentials creds"
)
_LABELS = frozenset({"name", "secret_id", "user_id", "host", "type"})
_key = re.compile(r"""["]([^"\\]*+)(?=\\*"\s*:)""")
iterate_keys, _find_keys = _key.finditer, _key.findall
"""Each key of JSON text without escapes in it, and what is like one.

The end is not consumed: it may begin the next.
"""

has_escaped_key = re.compile(r"""\\["\\/bfnrtu][^"\\]*+"\s*:""").search

_find_labels = re.compile(
    r"""["](?:name|key|header|field|variable)\\*"\s*:\s*\\*"([^"\\]*)""", re.IGNORECASE
).findall
"""The value of each key that names the value beside it."""

_SEGMENTS = re.compile(r"[.\[\]]+")


def may_name_secret(text: str) -> bool:
    """Whether JSON text can hold a key name that means a secret: a fast first test.

    Looking for a single letter, or for what two words share, spares looking for each word.
    """
    lowered = lower_ascii(text)
    return (
        ("k" in lowered and ("key" in lowered or "token" in lowered or "cookie" in lowered))
        or ("ss" in lowered and ("pass" in lowered or "sess" in lowered))
        or ("cre" in lowered and ("secret" in lowered or "cred" in lowered))
        or "auth" in lowered
        or ("w" in lowered and ("pwd" in lowered or "jwt" in lowered))
        or ("b" in lowered and "bearer" in lowered)
        or ("\\" in lowered and "\\u00" in lowered)
    )


def names_secret(text: str) -> bool:
    """Whether JSON text has a key name that means a secret.

    A key written with escapes is taken for one: who writes keys so?
    """
    if not may_name_secret(text):
        return False
    if "\\u00" in text or has_escaped_key(text):
        return True
    return any(map(classify_name, _find_keys(text))) or has_secret_label(text)


def has_secret_label(text: str) -> bool:
    """Whether JSON text has an object that names a secret: `{"name": "Authorization", …}`."""
    return any(map(classify_name, _find_labels(text)))


def lower_ascii(text: str) -> str:
    """Lower case for a search of ASCII words; many times faster than `lower` beyond ASCII."""
    if text.isascii():
        return text.lower()
    return text.encode("utf-8", "surrogatepass").lower().decode("latin-1")


def may_name_field(text: str) -> bool:
    """The same for the unknown fields of a record, where environments are secret as a whole."""
    return "env" in lower_ascii(text) or may_name_secret(text)


@lru_cache(maxsize=16_384)
def classify_name(name: str) -> Secrecy:
    """What a key name says of the value below it."""
    words = split_words(name)
    if not words or _is_about(words):
        return Secrecy.PLAIN
    if not _SECRET_WORDS.isdisjoint(words) or _is_key(words) or _is_session(words):
        return Secrecy.PLAIN if _is_quantity(words) else Secrecy.SECRET
    if "tokens" in words:
        return Secrecy.PLAIN if _is_quantity(words) else Secrecy.UNLESS_NUMBER
    is_secret = any(_SECRET_ENDINGS.search(word) for word in words)
    return Secrecy.SECRET if is_secret else Secrecy.PLAIN


@lru_cache(maxsize=4_096)
def classify_field(path: str) -> Secrecy:
    """The same for the path or a key of an unknown field, where less is known: rather too much."""
    segments = _SEGMENTS.split(path)
    if any(not _ENVIRONMENT_WORDS.isdisjoint(split_words(segment)) for segment in segments):
        return Secrecy.SECRET
    found = {classify_name(segment) for segment in segments}
    if Secrecy.SECRET in found:
        return Secrecy.SECRET
    return Secrecy.UNLESS_NUMBER if Secrecy.UNLESS_NUMBER in found else Secrecy.PLAIN


@lru_cache(maxsize=4_096)
def classify_typed(name: str) -> Secrecy:
    """The same for a key of a record that could not be understood, so its places are not known."""
    if not _ENVIRONMENT_WORDS.isdisjoint(split_words(name)):
        return Secrecy.TYPED
    return Secrecy.LABEL if name in _LABELS else classify_name(name)


def split_words(name: str) -> list[str]:
    """The words of an identifier, in lower case."""
    return [word.lower() for word in _WORD.findall(name)]


def _is_about(words: list[str]) -> bool:
    if words[-1] in ("id", "ids"):
        return _OPENING_IDS.isdisjoint(words)
    return len(words) > 1 and words[-1] in _DESCRIBING


_OPENING_IDS = frozenset({"session", "access", "secret", "sess"})
"""An id of these opens something, or is half of what does."""


def _is_key(words: list[str]) -> bool:
    return any(
        word in ("key", "keys") and words[place - 1] in _KEY_OWNERS
        for place, word in enumerate(words)
        if place
    )


def _is_session(words: list[str]) -> bool:
    return ("session" in words or "sess" in words) and not _SESSION_PARTS.isdisjoint(words)


def _is_quantity(words: list[str]) -> bool:
    """`max_token` is a number of tokens; `output_auth_token` is not."""
    is_token = not {"token", "tokens"}.isdisjoint(words)
    others = _SECRET_WORDS.intersection(words) - {"token"}
    return is_token and not others and not _COUNTING.isdisjoint(words)
