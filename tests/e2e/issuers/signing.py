"""Tokens and keys made by hand (RFC 7515, 7517, 7518): a library would refuse to make half of them."""

import base64
import copy
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def encoded(part: bytes | dict) -> str:
    """A part of a token; bytes are taken as they are."""
    if isinstance(part, dict):
        part = json.dumps(part).encode()
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _number(value: int, length: int | None = None) -> str:
    return encoded(value.to_bytes(length or (value.bit_length() + 7) // 8))


class Key:
    """A key pair for one algorithm: RS256, PS256, ES256 or EdDSA."""

    def __init__(self, kid: str | None, algorithm: str = "RS256") -> None:
        self.kid, self.algorithm = kid, algorithm
        if algorithm in ("RS256", "PS256"):
            self.private = rsa.generate_private_key(65537, 2048)
        elif algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()

    def jwk(self) -> dict:
        """Its public half."""
        public = self.private.public_key()
        about = {"alg": self.algorithm, "use": "sig"} | ({"kid": self.kid} if self.kid is not None else {})
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return about | {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        if isinstance(public, ec.EllipticCurvePublicKey):
            point = public.public_numbers()
            return about | {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return about | {"kty": "OKP", "crv": "Ed25519", "x": encoded(raw)}

    def used_for(self, algorithm: str) -> "Key":
        """The same key, for another algorithm of its kind."""
        other = copy.copy(self)
        other.algorithm = algorithm
        return other

    def pem(self) -> bytes:
        """Its public half, as text that anybody has."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form)

    def sign(self, message: bytes) -> bytes:
        if self.algorithm == "RS256":
            return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == "PS256":
            return self.private.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        if self.algorithm == "ES256":
            r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32) + s.to_bytes(32)
        return self.private.sign(message)

    def header(self, **more: object) -> dict:
        return {"alg": self.algorithm, "typ": "JWT"} | ({"kid": self.kid} if self.kid is not None else {}) | more


class Secret:
    """HS256, which no issuer may use here."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    def sign(self, message: bytes) -> bytes:
        return hmac.digest(self.secret, message, hashlib.sha256)


class Unsigned:
    """`alg: none`."""

    def sign(self, _: bytes) -> bytes:
        return b""


def token(header: bytes | dict, claims: bytes | dict, key: Key | Secret | Unsigned) -> str:
    """A JWS of these very parts, whatever they say."""
    message = f"{encoded(header)}.{encoded(claims)}"
    return f"{message}.{encoded(key.sign(message.encode()))}"
