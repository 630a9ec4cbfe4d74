"""The certified OpenID provider of scripts/oidc as a process, and who gets tokens from it."""

import base64
import hashlib
import json
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import requests
from front import Authority
from stack import ROOT, free_port

INSTALLED, SCRIPT = ROOT / ".venv" / "oidc", ROOT / "scripts" / "oidc" / "provider.mjs"
VERIFIER = "obviously-the-verifier-of-a-test-of-logins-by-code"
SCOPE = "openid email groups"


class OpenIdProvider:
    """Among the processes of a stack. `clients` and `accounts` are as provider.mjs has them, `seconds` lifetimes of its tokens."""

    def __init__(
        self,
        stack,
        clients: list[dict],
        accounts: dict[str, dict],
        authority: Authority | None = None,
        algorithm: str = "RS256",
        **seconds: int,
    ) -> None:
        assert (INSTALLED / ".done").exists(), "oidc-provider is not installed: make .venv/oidc/.done"
        self.stack, self.port = stack, free_port()
        self.url = f"{'https' if authority else 'http'}://127.0.0.1:{self.port}"
        self.clients = {client["client_id"]: client for client in clients}
        told = {"installed": str(INSTALLED), "port": self.port, "clients": clients, "accounts": accounts}
        told |= {"algorithm": algorithm, "seconds": seconds}
        self.verify: bool | str = True
        if authority:
            certificate, key = authority.issue("IP:127.0.0.1")
            told["tls"], self.verify = {"cert": str(certificate), "key": str(key)}, str(authority.certificate)
        self.settings = stack.folder / f"oidc-{self.port}.json"
        self.settings.write_text(json.dumps(told))
        self.start()

    def start(self) -> None:
        """With new keys; it remembers nothing from before."""
        self.process = self.stack.start("oidc", ["node", str(SCRIPT), str(self.settings)], {})
        self.stack.wait_for_port(self.process, "oidc", "127.0.0.1", self.port)

    def stop(self) -> None:
        self.stack.halt(self.process)

    def discovery(self) -> dict:
        return requests.get(f"{self.url}/.well-known/openid-configuration", timeout=60, verify=self.verify).json()

    # Tokens.

    def token(self, client: str, **form: str) -> requests.Response:
        """What the token endpoint answers to a client."""
        told = self.clients[client]
        secret = (client, told["client_secret"]) if "client_secret" in told else None
        form |= {} if secret else {"client_id": client}
        return requests.post(f"{self.url}/token", data=form, auth=secret, timeout=60, verify=self.verify)

    def machine_token(self, client: str, audience: str) -> str:
        """A JWT for a machine's own use of `audience`, an absolute URI."""
        answer = self.token(client, grant_type="client_credentials", resource=audience)
        assert answer.ok, answer.text
        return answer.json()["access_token"]

    def log_in(self, user: str, client: str, scope: str = SCOPE) -> dict:
        """The tokens of a person who logs in without a browser."""
        redirect_uri = self.clients[client]["redirect_uris"][0]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        asked = {"response_type": "code", "client_id": client, "redirect_uri": redirect_uri, "scope": scope, "prompt": "consent"}
        asked |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        at, form = f"{self.url}/auth?{urlencode(asked)}", None
        with requests.Session() as browser:
            while not at.startswith(redirect_uri):
                method = "GET" if form is None else "POST"
                answer = browser.request(method, at, data=form, allow_redirects=False, timeout=60, verify=self.verify)
                assert answer.ok, answer.text
                # Else a page with a form, which is filled in.
                at, form = (urljoin(at, answer.headers["Location"]), None) if answer.is_redirect else (at, {"user": user})
        query = parse_qs(urlsplit(at).query)
        assert "code" in query, query
        code = query["code"][0]
        answer = self.token(client, grant_type="authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=VERIFIER)
        assert answer.ok, answer.text
        return answer.json()

    def refresh(self, client: str, refresh_token: str) -> requests.Response:
        return self.token(client, grant_type="refresh_token", refresh_token=refresh_token)

    # What happens to people there.

    def _control(self, what: str, account: str) -> None:
        answer = requests.post(f"{self.url}/control/{what}", params={"account": account}, timeout=60, verify=self.verify)
        assert answer.ok and answer.text != "0", f"{what}: nothing of {account}'s there"

    def end_sessions(self, account: str) -> None:
        """As a logout at the provider itself. What has the scope offline_access outlives it."""
        self._control("end-sessions", account)

    def revoke_grants(self, account: str) -> None:
        """As the person takes back what clients may do: all tokens end."""
        self._control("revoke-grants", account)

    def disable(self, account: str) -> None:
        """As the person leaves: nothing is refreshed."""
        self._control("disable", account)
