"""Which key names mean that a secret follows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.redact.names import (
    Secrecy,
    classify_field,
    classify_label,
    classify_name,
    classify_typed,
    may_name_secret,
    names_secret,
)


def list_words(text: str) -> list[str]:
    return text.split()


SECRET = list_words(
    """
    password Password PASSWORD passwd pwd dbPassword DB_PASSWORD db-password db.password
    userPassword password_hash passwordConfirm new_password passphrase passcode DB_PASS
    smtp_pass rootpass secret client_secret clientSecret CLIENT_SECRET webhookSecret mysecret
    secrets secret_id apiKey api_key api-key apikey x-api-key X-API-KEY openaiApiKey
    openAIApiKey OPENAI_API_KEY openaiapikey apiKeys accessKey aws_access_key_id
    AWS_SECRET_ACCESS_KEY private_key privateKey ssh_key signing-key encryptionKey account_key
    stripe_key OPENAI_KEY githubKey Ocp-Apim-Subscription-Key session_key token accessToken
    access_token refreshToken id_token auth_token authToken githubtoken csrf_token bot_token
    device_token token_value bearer jwt userJwt Authorization Proxy-Authorization
    authorization_header auth basicAuth http_auth oauth credential credentials awsCredentials
    cred db_creds cookie Set-Cookie sessionCookie session_id sessionId PHPSESSID jsessionid
    session_token APIkey APIKEY SSHkeys OPENAIkey DBpass pgpass adminpass ftp_pass storepass
    userPassword1 api_key_2 passwort privkey mnemonic walletMnemonic seed_phrase seedPhrase
    recovery_codes backupCodes connection_string ConnectionString keyfile_dict fernet_key walletKey
    x-rapidapi-key x-functions-key INFURA_KEY alchemyKey openrouter_key segment_write_key
    """
)

HARMLESS = list_words(
    """
    key keys primary_key primaryKey foreign_key sort_key cache_key partition_key s3_key
    public_key object_key monkey keyboard keyword turkey hockey author authors authored
    authority authored_by authenticated passenger passengers compass bypass passed passing
    passive secretary secretariat token_count tokenCount max_tokens maxTokens total_tokens
    prompt_tokens completion_tokens tokens_used output_tokens max_token tokenizer token_type
    tokenType expires_in token_url token_uri auth_method authType auth_uri session sessions
    session_count cookie_count cookies_enabled secret_name secretName password_length
    password_policy token_id credential_id key_id client_id cookieConsent tokenized assess
    crediting accredited incredible message address success process name value id status count
    url token_symbol tokenDecimals tokenAddress tokenIn tokenOut tokenAmount token_balance
    token_price token_cost token_rate pass_rate passRate pass_at_1 pass_threshold pass_through
    first_pass_yield auth_provider auth_failures auth_duration_ms oauth_scopes authLatency
    authorization_amount password_strength password_changed has_password is_password_set
    needs_auth secrets_scanned cookie_banner seed phrase code backup connection string MONkey
    eos_token stop_token total_token input_tokens newTokens
    """
)


@pytest.mark.parametrize("name", SECRET)
def test_a_name_that_means_a_secret_is_known(name: str) -> None:
    assert classify_name(name) is Secrecy.SECRET


@pytest.mark.parametrize("name", HARMLESS)
def test_a_name_that_only_looks_like_one_is_not(name: str) -> None:
    assert classify_name(name) is Secrecy.PLAIN


@pytest.mark.parametrize(
    "name",
    list_words(
        """tokens accessTokens new_token newToken new_access_token generated_token input_token
        text_token remaining_token pass pass@1"""
    ),
)
def test_what_may_be_counted_is_a_secret_if_it_is_text(name: str) -> None:
    assert classify_name(name) is Secrecy.UNLESS_NUMBER


def test_a_label_with_blanks_is_a_title_and_its_number_no_secret() -> None:
    assert classify_label("Pass phrase") is Secrecy.UNLESS_NUMBER
    assert classify_label("API key") is Secrecy.UNLESS_NUMBER
    assert classify_label("api_key") is Secrecy.SECRET
    assert classify_label("Pass rate") is Secrecy.PLAIN


@given(
    st.lists(
        st.sampled_from([*SECRET, *HARMLESS, "a", "9", "é", " ", '"', "\\", "\n", ":", "Key"]),
        max_size=6,
    ).map("".join)
)
def test_the_fast_test_never_misses_a_name(name: str) -> None:
    """What costs little decides whether what costs more is asked at all."""
    for text in (json.dumps({name: 1}), json.dumps({name: 1}, ensure_ascii=False)):
        if classify_name(name) is not Secrecy.PLAIN:
            assert may_name_secret(text)
            assert names_secret(text)


def test_a_key_written_with_escapes_is_not_missed() -> None:
    assert names_secret(r'{"pass\u0077ord": "x"}')
    assert names_secret(r'{"a\npassword": "x"}')
    assert names_secret(r'{"a": "{\"password\": \"x\"}"}')


def test_an_object_that_names_its_value_is_not_missed() -> None:
    assert names_secret('[{"name": "Authorization", "value": "x"}]')
    assert not names_secret('[{"name": "Accept", "value": "keyboard"}]')


def test_unknown_fields_are_secret_where_an_environment_or_authorisation_is_meant() -> None:
    secret = ["details.request.env_extra.NAME", "details.request.http.allow[0].auth.oauth2",
              "details.credentials", "request.environment", "details.request.apiKey"]  # fmt: skip
    plain = [
        "details.request.region",
        "details.author",
        "details.response.event",
        "tags[3].envelope",
    ]

    assert {classify_field(path) for path in secret} == {Secrecy.SECRET}
    assert {classify_field(path) for path in plain} == {Secrecy.PLAIN}
    assert classify_field("usage.tokens") is Secrecy.UNLESS_NUMBER


def test_in_a_record_that_is_not_understood_the_labels_of_an_environment_are_told_apart() -> None:
    assert classify_typed("env") is Secrecy.TYPED
    assert classify_typed("name") is Secrecy.LABEL
    assert classify_typed("value") is Secrecy.PLAIN
    assert classify_typed("bearerToken") is Secrecy.SECRET
