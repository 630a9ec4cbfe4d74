"""The cookie of a session as the cookie crate seals it, for tests that cannot wait five minutes."""

import base64
import json
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

KEYS_INFO = b"COOKIE;SIGNED:HMAC-SHA256;PRIVATE:AEAD-AES-256-GCM"
NONCE = 12


class SealedCookie:
    """Of a gateway with this secret."""

    def __init__(self, secret: str, name: str) -> None:
        keys = HKDFExpand(SHA256(), 64, KEYS_INFO).derive(secret.encode())
        self.cipher, self.name = AESGCM(keys[32:]), name

    def open(self, value: str) -> dict:
        sealed = base64.b64decode(value)
        return json.loads(self.cipher.decrypt(sealed[:NONCE], sealed[NONCE:], self.name.encode()))

    def seal(self, what: dict) -> str:
        nonce = os.urandom(NONCE)
        return base64.b64encode(nonce + self.cipher.encrypt(nonce, json.dumps(what).encode(), self.name.encode())).decode()
