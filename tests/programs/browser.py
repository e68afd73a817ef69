"""A headless Chromium that tests talk to over its own pipe: Chrome DevTools Protocol, without a driver in between."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: What the protocol's pipe is called inside the browser: it reads from the first and writes to the second.
_READS, _WRITES = 3, 4
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27}


class Tab:
    """One page of the browser; what it asks of the outside, and what its console says, is kept.

    Attributes:
        requested: the addresses that were asked for.
        complaints: what the console said, and what a policy stopped.
    """

    def __init__(self, to: int, answers: Iterator[Mapping[str, Any]]) -> None:
        self._to = to
        self._answers = answers
        self._number = 0
        self._session: str | None = None
        self.requested: list[str] = []
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> Any:
        """Call a method and return its result; events that come before it are noted."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        for answer in self._answers:
            self._note(answer)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
        raise AssertionError(f"the browser ended during {method}")

    def _note(self, event: Mapping[str, Any]) -> None:
        given = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requested.append(given["request"]["url"])
        elif event.get("method") == "Log.entryAdded":
            self.complaints.append(given["entry"]["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(given["exceptionDetails"]["text"])

    def _wait_for(self, method: str) -> None:
        for event in self._answers:
            self._note(event)
            if event.get("method") == method:
                return

    def open(self, file: Path) -> None:
        """Open a file and wait until it is there whole."""
        self.send("Page.navigate", url=file.resolve().as_uri())
        self._wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page and return its value, a promise's too."""
        done = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def looks(self, *, dark: bool = False, width: int = 1280, height: int = 900, paper: bool = False) -> None:
        """Choose how the page is looked at."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media="print" if paper else "screen", features=[scheme])

    def press(self, key: str) -> None:
        """Press a key, as somebody without a mouse does."""
        told = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **told)

    def point(self, selector: str) -> None:
        """Move the mouse onto an element, after scrolling it into view."""
        place = self.run(
            f"""(() => {{
                const element = document.querySelector({json.dumps(selector)});
                element.scrollIntoView({{ block: "center", inline: "center" }});
                const box = element.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """Take a picture of what is seen, or of the whole page."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def paper(self, file: Path) -> None:
        """Print into a PDF."""
        printed = self.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        file.write_bytes(base64.b64decode(printed["data"]))


@contextmanager
def browser() -> Iterator[Tab]:
    """Start a browser with a profile of its own, and end it."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    assert program, "these tests need a browser: apt-get install chromium"
    commands, to = os.pipe()
    back, answers = os.pipe()
    with tempfile.TemporaryDirectory(prefix="fedschema-browser.") as profile:
        process = subprocess.Popen(
            [
                "bash",
                "-c",
                f'exec "$@" {_READS}<&{commands} {_WRITES}>&{answers}',
                "bash",
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
            ],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        try:
            yield Tab(to, _messages(back))
        finally:
            os.close(to)
            os.close(back)
            process.terminate()
            process.wait(timeout=20)


def _messages(pipe: int) -> Iterator[Mapping[str, Any]]:
    """Yield what the browser says, a message at a time; they end with a zero byte."""
    read = b""
    while data := os.read(pipe, 1 << 20):
        *whole, read = (read + data).split(b"\0")
        yield from map(json.loads, whole)
