"""HG-F…: files on disk."""


def a_key_file_that_is_not_there(place):
    return place.check(HOKUSAI__AUTH__KEY_FILE__PATH=str(place.folder / "none.toml"))


def a_key_file_that_everybody_may_write(place):
    file = place.folder / "keys.toml"
    file.write_text(place.stack.key_file.read_text())
    file.chmod(0o666)
    return place.check(HOKUSAI__AUTH__KEY_FILE__PATH=str(file))


def a_private_key_that_everybody_may_read(place):
    certificate, key = place.authority.issue("IP:127.0.0.1")
    key.chmod(0o644)
    return place.check(HOKUSAI__SERVER__TLS__CERT=str(certificate), HOKUSAI__SERVER__TLS__KEY=str(key))


def no_folder_for_the_audit_stream(place):
    return place.check(HOKUSAI__AUDIT__OUTPUT=str(place.folder / "none" / "audit.jsonl"))
