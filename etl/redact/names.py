"""Which key names mean that a secret follows: `password`, `openaiApiKey`, `x-api-key`, …

A name is split into words (snake, kebab, dotted, camel case), so that `monkey`, `author` or
`primary_key` are not mistaken for secrets, and `DB_PASSWORD` or `githubAccessTokens` are found.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate, pairwise

from etl.redact.settings import may_hold_setting


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


_WORD = re.compile(r"[A-Z]{2,}(?=(?:keys?|pass)(?![a-z]))|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
"""A word of an identifier; also the first of `APIkey` and `DBpass`."""

_SECRET_WORDS = _words(
    "password passwords passwd pwd pass passphrase passphrases passcode passcodes secret secrets "
    "credential credentials cred creds authorization authentication auth token cookie cookies "
    "jwt jwts bearer apikey apikeys privkey passwort mnemonic mnemonics seedphrase"
)
_SECRET_PHRASES = frozenset(
    {
        ("seed", "phrase"),
        ("recovery", "code"),
        ("recovery", "codes"),
        ("backup", "code"),
        ("backup", "codes"),
        ("connection", "string"),
        ("keyfile", "dict"),
        ("keyfile", "json"),
    }
)
"""Two words that mean a secret only together."""

_SECRET_ENDINGS = re.compile(
    r"(?:password|passwd|passphrase|secret|apikey|accesskey|privatekey|secretkey|signingkey"
    r"|encryptionkey|accountkey|authkey|sharedkey|masterkey|licensekey|subscriptionkey|sshkey"
    r"|token|auth|credential|cookie|sessionid|sessid|sessionkey"
    r"|(?:ssh|db|pg|user|admin|smtp|ftp|root|key|store)pass"
    r"|pwd)s?$|password"
)
"""Names written as one word: `dbpassword`, `phpsessid`, `openaiapikey`."""

_KEY_OWNERS = _words(
    "api access private secret signing sign encryption encrypt crypto aes rsa ssh gpg pgp tls ssl "
    "auth account license licence master shared service deploy storage subscription session admin "
    "root client consumer app application hmac jwt token webhook server bot user sas team ai "
    "openai anthropic claude gemini mistral cohere groq stripe aws azure gcp google github gitlab "
    "slack twilio sendgrid mailgun mailchimp datadog cloudflare pinecone supabase firebase algolia "
    "heroku sentry telegram discord paypal square plaid shopify hubspot notion airtable rapidapi "
    "function functions fernet write wallet infura alchemy instrumentation integration openrouter "
    "perplexity replicate huggingface hf tavily serpapi langsmith"
)
"""`key` alone means nothing; after one of these words it opens something."""

_SESSION_PARTS = frozenset({"id", "key", "token", "cookie", "value"})

_DESCRIBING = _words(
    "count counts length len size limit limits type types policy name names expiry expires "
    "expiration expired ttl at in on status usage used total max min version format url uri "
    "endpoint error errors enabled required valid field label kind method mode source consent "
    "domain id ids address symbol decimals amount balance price contract out cost budget rate "
    "ratio threshold through yield provider scope scopes success failure failures latency duration "
    "ms level score strength changed scanned banner"
)
"""A last word that makes the value something *about* a secret: `token_type`, `secret_name`."""

_ASKING = _words("has is needs requires")
"""A first word that does the same: `has_password`."""

_COUNTING = _words(
    "max min num number total prompt completion reasoning avg mean per eos bos pad unk stop special"
)
"""Words that make `token` and `tokens` a quantity, or a word of a language model: `max_tokens`."""

_COUNTING_MANY = _words("input output cached used remaining new generated audio text")
"""Words that do so for `tokens`; a `new_token` is a number or a secret."""

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

_find_literal_keys = re.compile(r"'([^'\"\\]*+)'\s*:").findall
_find_literal_labels = re.compile(
    r"'(?:name|key|header|field|variable)'\s*:\s*'([^'\\]*)", re.IGNORECASE
).findall
"""The same in what Python prints of a dictionary."""

_SEPARATOR = "\0"

_SEGMENTS = re.compile(r"[.\[\]]+")


_SIGNS = (
    *(("k", "key"), ("k", "token"), ("k", "cookie"), ("p", "pass"), ("s", "sess")),
    *(("c", "secret"), ("d", "cred"), ("u", "auth"), ("w", "pwd"), ("j", "jwt")),
    *(("b", "bearer"), ("\\", "\\u"), ("c", "neonic"), ("p", "seedphrase")),
    *(("y", "recoerycode"), ("b", "backupcode"), ("c", "connectionstrin")),
)
"""One of them is in each name that means a secret, or in a name that is written with escapes.

They are as `_fold` leaves them: `mnemonic` without its m. Before each stands a letter of it, as
looking for that costs a fraction.
"""

_LOWER = bytes(range(256)).lower()
_LETTERS = "abcdehijknoprstuwy\\"
_IN_SIGNS = frozenset(_LETTERS + _LETTERS.upper() + "\0")
_IN_NO_SIGN = bytes(code for code in range(256) if chr(code) not in _IN_SIGNS)


def may_name_secret(text: str) -> bool:
    """Whether JSON text can hold a key name that means a secret: a fast first test."""
    folded = _fold(text)
    # A loop: most texts are short, and there any() would take longer for its generator.
    for letter, sign in _SIGNS:  # noqa: SIM110
        if letter in folded and sign in folded:
            return True
    return False


def find_named(jsons: Sequence[str]) -> list[int]:
    """The places of JSON texts that have a key name that means a secret.

    All are searched as one: in most pages there are few of the signs, and those in few texts.
    """
    whole = _fold(_SEPARATOR.join(jsons))
    signs = [sign for letter, sign in _SIGNS if letter in whole and sign in whole]
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
    is_named = any(map(classify_name, _find_keys(text))) or has_secret_label(text)
    is_named = is_named or may_hold_setting(text)
    return is_named or ("':" in text and _has_literal_name(text))


def _has_literal_name(text: str) -> bool:
    """The same for what Python prints of a dictionary, also in a string of JSON."""
    names = any(map(classify_name, _find_literal_keys(text)))
    return names or any(map(classify_label, _find_literal_labels(text)))


def has_secret_label(text: str) -> bool:
    """Whether JSON text has an object that names a secret: `{"name": "Authorization", …}`."""
    return any(map(classify_name, _find_labels(text)))


def may_name_field(text: str) -> bool:
    """The same for the unknown fields of a record, where environments are secret as a whole."""
    return "env" in text.lower() or may_name_secret(text)


@lru_cache(maxsize=16_384)
def classify_name(name: str) -> Secrecy:
    """What a key name says of the value below it."""
    words = _drop_numbers(split_words(name))
    if not words or _is_about(words) or _is_quantity(words):
        return Secrecy.PLAIN
    if words == ["pass"] or _may_be_quantity(words):
        return Secrecy.UNLESS_NUMBER
    return Secrecy.SECRET if _opens(words) else Secrecy.PLAIN


@lru_cache(maxsize=4_096)
def classify_label(label: str) -> Secrecy:
    """The same for a value that names the one beside it: what has blanks in it is a title."""
    secrecy = classify_name(label)
    is_title = secrecy is Secrecy.SECRET and " " in label.strip()
    return Secrecy.UNLESS_NUMBER if is_title else secrecy


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


def _drop_numbers(words: list[str]) -> list[str]:
    """The words without numbers at the end: `pass@1`, `api_key_2`."""
    while words and words[-1].isdecimal():
        words = words[:-1]
    return words


def _is_about(words: list[str]) -> bool:
    if words[-1] in ("id", "ids"):
        return _OPENING_IDS.isdisjoint(words)
    return len(words) > 1 and (words[-1] in _DESCRIBING or words[0] in _ASKING)


_OPENING_IDS = frozenset({"session", "access", "secret", "sess"})
"""An id of these opens something, or is half of what does."""


def _opens(words: list[str]) -> bool:
    return (
        not _SECRET_WORDS.isdisjoint(words)
        or not _SECRET_PHRASES.isdisjoint(pairwise(words))
        or _is_key(words)
        or _is_session(words)
        or any(_SECRET_ENDINGS.search(word) for word in words)
    )


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
    if not _is_token_only(words):
        return False
    return not _COUNTING.isdisjoint(words) or (
        "tokens" in words and not _COUNTING_MANY.isdisjoint(words)
    )


def _may_be_quantity(words: list[str]) -> bool:
    """`tokens` count what a language model read, unless they are text; so does `output_token`."""
    return _is_token_only(words) and ("tokens" in words or not _COUNTING_MANY.isdisjoint(words))


def _is_token_only(words: list[str]) -> bool:
    is_token = not {"token", "tokens"}.isdisjoint(words)
    return is_token and _SECRET_WORDS.intersection(words) <= {"token"}
