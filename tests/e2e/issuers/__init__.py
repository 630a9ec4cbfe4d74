"""Tokens of issuers in place of keys: of machines and of people, from a certified provider and from an issuer that fails in every way."""
