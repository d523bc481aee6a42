"""Ray Serve's REST API, as data: no Ray import."""

import logging
import time
from dataclasses import dataclass
from typing import Any

import httpx

from feed_platform.feed import FeedError

PATH = "/api/serve/applications/"
TIMEOUT_SECONDS = 60.0
SHOWN = 1_500
POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServeApi:
    """Serve's declarative API on the head's dashboard port; the token opens it."""

    base_url: str
    token: str

    def details(self) -> dict[str, Any] | None:
        """Everything that Serve knows of its applications; `None` while it doesn't answer."""
        try:
            answer = self._call("GET")
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == httpx.codes.OK else None

    def deploy(self, config: dict[str, Any]) -> None:
        """Hand over the whole declarative config.

        Raises:
            FeedError: Serve refuses it; the message says why.
        """
        answer = self._call("PUT", json=config)
        if not answer.is_success:
            raise FeedError(
                f"Ray Serve refuses the deployment ({answer.status_code}): {answer.text[-SHOWN:]}"
            )

    def drain(self, patience: float) -> None:
        """End the applications, after the requests on their way; new ones are told that nothing serves."""
        try:
            config = {"proxy_location": "HeadOnly", "applications": []}
            self._call("PUT", json=config)
            deadline = time.monotonic() + patience
            while (self.details() or {}).get("applications") and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        except httpx.TransportError as error:
            log.warning("Ray Serve did not drain: %s", error)

    def _call(self, method: str, **content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=self.base_url, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            return client.request(method, PATH, headers=headers, **content)
