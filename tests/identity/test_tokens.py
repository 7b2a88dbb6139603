"""Which tokens are believed, and which are not."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from tapetum.errors import (
    CallerUnknown,
    RequestForbidden,
    SettingsError,
    StoreUnavailable,
    Unauthenticated,
)
from tapetum.identity.principal import Principal, Principals, Project
from tapetum.identity.projects import Issuer
from tapetum.identity.service_accounts import write_service_account
from tapetum.identity.token_keys import MIN_AGE, KeySource
from tapetum.identity.tokens import MAX_LIFETIME, SKEW, Tokens

ROBOT = "robot@alpha.example"
PROVIDER = "https://id.example"
NOW = 1_800_000_000.0
VISION = "https://vision.googleapis.com/"

ALPHA = Project("alpha", ("gs://alpha-*",))
PRINCIPALS = Principals(
    {
        "robot": Principal("robot", ALPHA, issuer=ROBOT),
        "alice": Principal("alice", ALPHA, issuer=PROVIDER, subject="alice-1"),
    },
    asked=True,
)
ROBOT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PROVIDER_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory) -> Tokens:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "robot.pem").write_bytes(pem(ROBOT_KEY))
    jwk = ECKey.import_key(PROVIDER_KEY.public_key()).as_dict(private=False)
    shared = OctKey.import_key(b"x" * 32).as_dict()
    jwks = {"keys": [{**jwk, "kid": "p1"}, {**shared, "kid": "p2"}]}
    (folder / "provider.json").write_text(json.dumps(jwks))
    issuers = {
        ROBOT: Issuer(ROBOT, str(folder / "robot.pem")),
        PROVIDER: Issuer(PROVIDER, str(folder / "provider.json"), audiences=("tapetum",)),
    }
    return Tokens(PRINCIPALS, issuers, no_network, lambda: NOW)


def no_network(url: str) -> bytes:
    raise AssertionError(url)


def robot_claims(**changes):
    claims = {"iss": ROBOT, "sub": ROBOT, "aud": VISION, "iat": NOW, "exp": NOW + 3600, **changes}
    return {name: value for name, value in claims.items() if value is not None}


def signed(claims, key=ROBOT_KEY, alg="RS256", kid="r1") -> str:
    kind = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "HS256": OctKey}[alg]
    return jwt.encode({"alg": alg, "kid": kid}, claims, kind.import_key(key), algorithms=[alg])


def ask(tokens: Tokens, token: str) -> str:
    return asyncio.run(tokens.principal_of(token)).name


def test_a_service_accounts_own_token(tokens):
    assert ask(tokens, signed(robot_claims())) == "robot"
    scoped = robot_claims(aud=None, scope="x https://www.googleapis.com/auth/cloud-vision")
    assert ask(tokens, signed(scoped)) == "robot"


def test_a_token_of_a_provider(tokens):
    claims = robot_claims(iss=PROVIDER, sub="alice-1", aud=["other", "tapetum"])
    assert ask(tokens, signed(claims, PROVIDER_KEY, "ES256", "p1")) == "alice"


@pytest.mark.parametrize(
    "claims",
    [
        robot_claims(exp=NOW - SKEW - 1),
        robot_claims(exp=None),
        robot_claims(exp="soon"),
        robot_claims(exp=True),
        robot_claims(exp=NOW + MAX_LIFETIME + SKEW + 1),
        robot_claims(iat=NOW + SKEW + 1),
        robot_claims(nbf=NOW + SKEW + 1),
        robot_claims(iss=None),
        robot_claims(iss="somebody@else.example"),
        robot_claims(iss=PROVIDER, sub="alice-1", aud="tapetum"),  # signed by another issuer
        robot_claims(iss=["robot"]),
    ],
)
def test_claims_that_are_not_believed(tokens, claims):
    with pytest.raises(Unauthenticated):
        ask(tokens, signed(claims))


@pytest.mark.parametrize("claims", [robot_claims(exp=NOW - SKEW + 1), robot_claims(iat=NOW + 59)])
def test_clocks_may_differ_a_little(tokens, claims):
    assert ask(tokens, signed(claims)) == "robot"


@pytest.mark.parametrize(
    "claims",
    [
        robot_claims(aud="https://storage.googleapis.com/"),
        robot_claims(aud=None),
        robot_claims(aud=None, scope="https://www.googleapis.com/auth/drive"),
        robot_claims(aud="tapetum"),  # another issuer's
        robot_claims(aud=[]),
        robot_claims(aud=[["x"]]),
        robot_claims(sub="somebody@else.example"),
    ],
)
def test_tokens_that_are_true_but_not_for_here(tokens, claims):
    with pytest.raises(RequestForbidden):
        ask(tokens, signed(claims))


def unsigned(header: dict, claims: dict, signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims))
    return ".".join([*(part.rstrip(b"=").decode() for part in parts), signature])


def with_shared_secret(secret: bytes) -> str:
    said = unsigned({"alg": "HS256"}, robot_claims()).rstrip(".")
    mac = hmac.digest(secret, said.encode(), "sha256")
    return f"{said}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(
    "token",
    [
        unsigned({"alg": "none"}, robot_claims()),
        unsigned({"alg": "None"}, robot_claims()),
        unsigned({"alg": ["RS256"]}, robot_claims()),
        unsigned({}, robot_claims()),
        unsigned({"alg": "RS256"}, robot_claims(), "AAAA"),
        with_shared_secret(pem(ROBOT_KEY)),  # which anybody may have
        signed(robot_claims(), OTHER_RSA),
        signed(robot_claims(), ROBOT_KEY, "PS256"),
        signed(robot_claims(iss=PROVIDER, sub="alice-1", aud="tapetum"), b"x" * 32, "HS256", "p2"),
        signed(
            robot_claims(iss=PROVIDER, sub="alice-1", aud="tapetum"), PROVIDER_KEY, "ES256", "p9"
        ),
        "",
        "a.b.c",
        "....",
        "x" * 20_000,
        unsigned({"alg": "RS256"}, []),  # type: ignore[arg-type]
        signed(robot_claims())[:-8] + "AAAAAAAA",
    ],
)
def test_forgeries(tokens, token):
    with pytest.raises(Unauthenticated) as caught:
        ask(tokens, token)
    assert len(token) < 20 or token not in str(caught.value)


def test_a_token_with_a_key_of_its_own_in_the_header(tokens):
    own = RSAKey.import_key(OTHER_RSA.public_key()).as_dict(private=False)
    header = {"alg": "RS256", "jwk": own, "jku": "https://evil.example/keys"}
    token = jwt.encode(header, robot_claims(), RSAKey.import_key(OTHER_RSA))
    with pytest.raises(Unauthenticated):
        ask(tokens, token)


def test_the_service_accounts_this_server_makes(tmp_path):
    files = write_service_account(tmp_path, ROBOT, "alpha")
    assert files.secret.stat().st_mode & 0o777 == 0o600
    secret = json.loads(files.secret.read_text())
    issuers = {name: Issuer(name, str(files.public)) for name in (ROBOT, PROVIDER)}
    made = Tokens(PRINCIPALS, issuers, no_network)
    now = time.time()
    claims = robot_claims(iat=now, exp=now + 60)
    token = jwt.encode(
        {"alg": "RS256", "kid": secret["private_key_id"]}, claims,
        RSAKey.import_key(secret["private_key"]),
    )  # fmt: skip
    assert ask(made, token) == "robot"
    assert "PRIVATE" not in files.public.read_text()
    assert '"d"' not in files.public.read_text()
    with pytest.raises(SettingsError):  # never over a key in use
        write_service_account(tmp_path, ROBOT, "alpha")


# --- where keys are ---------------------------------------------------------------------------


class Provider:
    """A JWKS behind a URL, which counts how often it is asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.keys = {"old": ROBOT_KEY}
        self.down = False

    def fetch(self, url: str) -> bytes:
        self.asked += 1
        if self.down:
            raise StoreUnavailable(url)
        rows = [
            {**RSAKey.import_key(key.public_key()).as_dict(private=False), "kid": kid}
            for kid, key in self.keys.items()
        ]
        return json.dumps({"keys": rows}).encode()


def test_a_url_is_asked_again_for_new_keys_but_not_for_every_forgery():
    provider = Provider()
    source = KeySource("https://id.example/keys", provider.fetch, lambda: provider.now)

    async def found(kid: str) -> int:
        return len(await source.keys(kid))

    async def run() -> None:
        assert await found("old") == 1
        provider.keys = {"new": OTHER_RSA}
        assert [await found("new") for _ in range(50)] == [0] * 50
        assert provider.asked == 1
        provider.now += MIN_AGE + 1
        assert await found("new") == 1
        assert await found("old") == 0  # withdrawn
        provider.down = True
        provider.now += 10_000
        assert await found("new") == 1  # what was good goes on
        assert provider.asked == 3

    asyncio.run(run())


def test_keys_that_cannot_be_had_say_try_again():
    provider = Provider()
    provider.down = True
    source = KeySource("https://id.example/keys", provider.fetch, lambda: provider.now)
    with pytest.raises(CallerUnknown):
        asyncio.run(source.keys("old"))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"{}", b'{"keys": []}', b'{"keys": [{"kty": "RSA"}]}',
        b'{"keys": [{"kty": "oct", "k": "eHh4"}]}', b"-----BEGIN PUBLIC KEY-----\nxx\n",
        b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----",
        b'{"type": "service_account", "private_key": "x"}',
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        pem(ec.generate_private_key(ec.SECP384R1())),
    ],
)  # fmt: skip
def test_files_that_hold_no_key_to_use(tmp_path, content):
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="keys"):
        KeySource(str(path), no_network)


def test_plain_http_is_no_place_for_keys(tmp_path):
    with pytest.raises(SettingsError, match="https"):
        KeySource("http://id.example/keys", no_network)
    with pytest.raises(SettingsError, match="No such file"):
        KeySource(str(tmp_path / "no"), no_network)


def test_an_issuer_without_keys_is_named():
    with pytest.raises(SettingsError, match=r"\[issuers\.'https://id\.example'\]"):
        Tokens(PRINCIPALS, {}, no_network)
