"""docs/http.md and docs/postman.json work as they stand, against a server."""

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from feed_platform.home import prepare_home
from feed_platform.serving import postman
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)
EXAMPLES = BLOCK.findall((DOCS / "http.md").read_text())


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = Settings(home=tmp_path_factory.mktemp("guide") / "home")
    prepare_home(home)
    samples.fill(home)
    backend = Backend.open(home, samples.FEED)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(build_app(backend), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
    backend.close()


@pytest.mark.parametrize(("language", "code"), EXAMPLES)
def test_each_example_of_the_guide_runs(base_url: str, language: str, code: str) -> None:
    code = code.replace(postman.BASE_URL, base_url)
    if language == "python":
        exec(compile(code, "http.md", "exec"), {})
    else:
        subprocess.run(["bash", "-ec", code.replace("curl -s", "curl -s --fail-with-body")], check=True)


def test_the_collection_is_that_of_the_api_and_each_request_works(base_url: str) -> None:
    kept = json.loads((DOCS / "postman.json").read_text())
    assert kept == postman.collection(), "run python -m feed_platform.serving.postman > docs/postman.json"
    with httpx.Client(trust_env=False) as client:
        for item in kept["item"]:
            request = item["request"]
            answer = client.request(
                request["method"],
                request["url"].replace("{{base_url}}", base_url),
                headers={header["key"]: header["value"] for header in request["header"]},
                content=request.get("body", {}).get("raw"),
            )
            assert answer.status_code == 200, f"{item['name']}: {answer.text}"
