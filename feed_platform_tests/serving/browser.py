"""A real headless Chromium over the DevTools protocol, and a replica's API on a port of its own."""

import base64
import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
PATIENCE = 60.0


class Tab:
    """One page. `errors` are what its console and its policy complained of."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.errors: list[str] = []
        self._loaded = False
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command's result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (told := json.loads(self._socket.recv(timeout=PATIENCE))).get("id") != number:
            self._note(told)
        assert "error" not in told, told
        return dict(told["result"])

    def _note(self, told: dict[str, Any]) -> None:
        self._loaded |= told["method"] == "Page.loadEventFired"
        if told["method"] == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["params"]["exceptionDetails"]))
        entry = told["params"].get("entry", {}) if told["method"] == "Log.entryAdded" else {}
        if entry.get("source") in ("security", "javascript"):
            self.errors.append(entry["text"])

    def open(self, url: str) -> None:
        """Go to an address, also where only what follows # differs, and wait until it is loaded."""
        for place in ("about:blank", url):
            self._loaded = False
            self.call("Page.navigate", url=place)
            while not self._loaded:
                self._note(json.loads(self._socket.recv(timeout=PATIENCE)))

    def run(self, script: str) -> Any:
        """An expression's value in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait for an expression to be true."""
        deadline = time.monotonic() + PATIENCE
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, (script, self.run("document.body.innerText"), self.errors)
            time.sleep(0.05)
        return value

    def press(self, key: str) -> None:
        """A key, as a person at the keyboard."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        code = {"Tab": 9, "Enter": 13, " ": 32}[key]
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text
            )

    def look(self, width: int, height: int, dark: bool = False, scale: float = 1) -> None:
        """The window's size, light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        """What the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Tab]:
    """A tab of a browser that ends with the block."""
    assert CHROMIUM is not None
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    command = [CHROMIUM, *FLAGS, *root, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("DevTools listening on "):
                break
        url = line.split()[-1].strip()
        with connect(url, max_size=None) as browser:
            browser.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
            targets = json.loads(browser.recv(timeout=PATIENCE))["result"]["targetInfos"]
            page = next(one["targetId"] for one in targets if one["type"] == "page")
            with connect(f"{url.partition('/devtools')[0]}/devtools/page/{page}", max_size=None) as socket:
                yield Tab(socket)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app over HTTP on loopback; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
