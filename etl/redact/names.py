"""Which key names mean that a secret follows: `password`, `openaiApiKey`, `x-api-key`, …

A name is split into words (snake, kebab, dotted, camel case), so that `monkey`, `author` or
`primary_key` are not mistaken for secrets, and `DB_PASSWORD` or `githubAccessTokens` are found.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate


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
_LABELS = frozenset({"name", "secret_id", "host", "type"})
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

_SEPARATOR = "\0"

_SEGMENTS = re.compile(r"[.\[\]]+")


_SIGNS = (
    *("key", "token", "cookie", "pass", "sess", "secret"),
    *("cred", "auth", "pwd", "jwt", "bearer", "\\u"),
)
"""One of them is in each name that means a secret, or in a name that is written with escapes."""

_LOWER = bytes(range(256)).lower()
_IN_SIGNS = frozenset("".join(_SIGNS) + "".join(_SIGNS).upper() + "\0")
_IN_NO_SIGN = bytes(code for code in range(256) if chr(code) not in _IN_SIGNS)


def may_name_secret(text: str) -> bool:
    """Whether JSON text can hold a key name that means a secret: a fast first test."""
    folded = _fold(text)
    # A loop: most texts are short, and there any() would take longer for its generator.
    for sign in _SIGNS:  # noqa: SIM110
        if sign in folded:
            return True
    return False


def find_named(jsons: Sequence[str]) -> list[int]:
    """The places of JSON texts that have a key name that means a secret.

    All are searched as one: in most pages there are few of the signs, and those in few texts.
    """
    whole = _fold(_SEPARATOR.join(jsons))
    signs = [sign for sign in _SIGNS if sign in whole]
    if not signs:
        return []
    ends = list(accumulate([len(text) + 1 for text in whole.split(_SEPARATOR)]))
    if len(ends) != len(jsons):
        return [place for place, text in enumerate(jsons) if names_secret(text)]
    suspects = {place for sign in signs for place in _find_texts(whole, ends, sign)}
    return [place for place in suspects if _has_secret_name(jsons[place])]


def _fold(text: str) -> str:
    """The letters of a text that signs are made of, in lower case: where a sign was, it still is.

    More than half of JSON is something else, and need not be searched a dozen times.
    """
    folded = text.encode("utf-8", "surrogatepass").translate(_LOWER, _IN_NO_SIGN)
    return folded.decode("ascii")


def _find_texts(whole: str, ends: Sequence[int], sign: str) -> Iterator[int]:
    """Which of the texts that were joined have a sign in them; `ends` is where the next begins."""
    found = whole.find(sign)
    while found >= 0:
        place = bisect_right(ends, found)
        yield place
        found = whole.find(sign, ends[place])


def names_secret(text: str) -> bool:
    """Whether JSON text has a key name that means a secret."""
    return may_name_secret(text) and _has_secret_name(text)


def _has_secret_name(text: str) -> bool:
    """The same, with care. A key written with escapes is taken for one: who writes keys so?"""
    if "\\u00" in text or has_escaped_key(text):
        return True
    return any(map(classify_name, _find_keys(text))) or has_secret_label(text)


def has_secret_label(text: str) -> bool:
    """Whether JSON text has an object that names a secret: `{"name": "Authorization", …}`."""
    return any(map(classify_name, _find_labels(text)))


def may_name_field(text: str) -> bool:
    """The same for the unknown fields of a record, where environments are secret as a whole."""
    return "env" in text.lower() or may_name_secret(text)


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
    found = {classify_name(name) for name in (path, *segments)}
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
