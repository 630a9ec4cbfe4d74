"""Who is known at the certified provider, and by which clients."""

from .openid_provider import OpenIdProvider

AUDIENCE = "https://mlflow.example.com"
# Where nobody listens: a test takes the code from the address.
CALLBACK = "http://127.0.0.1:1/callback"
BY_CODE = {"grant_types": ["authorization_code", "refresh_token"], "redirect_uris": [CALLBACK], "post_logout_redirect_uris": [CALLBACK]}
CLIENTS = [
    {
        "client_id": "pipeline",
        "client_secret": "obviously-the-secret-of-a-machine-in-tests",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "machine": {"repository": "acme/churn", "groups": ["machines"]},
    },
    {"client_id": "gateway", "client_secret": "obviously-the-secret-of-a-gateway-in-tests"} | BY_CODE,
    {"client_id": "notebook", "token_endpoint_auth_method": "none", "id_token_signed_response_alg": "ES256"} | BY_CODE,
]
ACCOUNTS = {
    "ada": {"email": "ada@example.com", "email_verified": True, "groups": ["scientists", "churn"]},
    "bob": {"email": "bob@example.com", "email_verified": True, "groups": ["guests"]},
}


def start_provider(stack, *more: dict, **options) -> OpenIdProvider:
    """With those clients and accounts; `more` are further clients."""
    return OpenIdProvider(stack, [*CLIENTS, *more], ACCOUNTS, **options)
