"""The network log of a page."""

# What a key without mlflow:admin and mlflow:gateway_invoke may not ask for, as MLflow's pages do all the same.
DENIED = ("/assistant/",)
# MLflow itself has no such route without its app for users.
UNKNOWN_TO_MLFLOW = ("/mlflow/users/current",)


class Network:
    def __init__(self, page) -> None:
        self.seen: list[tuple[int, str, str]] = []
        self.complaints: list[str] = []
        page.on("response", lambda response: self.seen.append((response.status, response.request.method, response.url)))
        page.on("console", self._console)

    def _console(self, message) -> None:
        # A status is in `seen`; the rest is what a policy forbids, or a script that fails.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def failed(self) -> list[tuple[int, str, str]]:
        """Requests that failed and should not have."""

        def is_expected(status: int, url: str) -> bool:
            return (status == 403 and any(part in url for part in DENIED)) or (
                status == 404 and any(part in url for part in UNKNOWN_TO_MLFLOW)
            )

        return [(status, method, url) for status, method, url in self.seen if status >= 400 and not is_expected(status, url)]
