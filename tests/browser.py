"""A headless Chromium, driven by the DevTools protocol over a pair of pipes."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"),
    *("--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe"),
)


class Browser:
    """A browser without a window.

    Args:
        profile: An empty folder.
        size: Width and height of its pages.
    """

    def __init__(self, profile, size=(1400, 900)):
        self.size = size
        command_read, self._out = os.pipe()
        self._in, answer_write = os.pipe()
        # The browser reads commands from descriptor 3 and answers at 4.
        redirect = f'exec "$0" "$@" 3</dev/fd/{command_read} 4>/dev/fd/{answer_write}'
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", redirect, CHROMIUM, *OPTIONS, f"--user-data-dir={profile}"],
            pass_fds=(command_read, answer_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_read)
        os.close(answer_write)
        self._numbers = itertools.count(1)
        self._rest = b""
        self.events = []

    def send(self, method, session=None, **parameters):
        """Sends a command; returns its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive(60)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _receive(self, seconds):
        end = time.monotonic() + seconds
        while b"\0" not in self._rest:
            if not select.select([self._in], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            got = os.read(self._in, 1 << 20)
            if not got:
                raise ConnectionError("the browser has ended")
            self._rest += got
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, url):
        """Opens an address in a new tab."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session)
        width, height = self.size
        page.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        page.send("Page.enable")
        page.send("Runtime.enable")
        page.send("Log.enable")
        page.send("Page.navigate", url=url)
        return page

    def close(self):
        """Ends the browser."""
        self._process.terminate()
        self._process.wait(30)
        os.close(self._in)
        os.close(self._out)


class Page:
    """A tab."""

    def __init__(self, browser, target, session):
        self.browser, self.target, self.session = browser, target, session

    def send(self, method, **parameters):
        return self.browser.send(method, self.session, **parameters)

    def evaluate(self, expression):
        """The value of an expression of JavaScript, awaited."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait(self, expression, seconds=30):
        """Waits until an expression is true; returns its value."""
        end = time.monotonic() + seconds
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            if time.monotonic() > end:
                raise TimeoutError(f"still false after {seconds} s: {expression}")
            time.sleep(0.02)

    def mouse(self, kind, x, y, **parameters):
        """An event of the mouse: `mouseMoved`, `mousePressed`, `mouseReleased`, `mouseWheel`."""
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **parameters)

    def drag(self, start, stop, **parameters):
        """Drags from a point to another with the left button."""
        held = {"button": "left", "clickCount": 1, **parameters}
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start, **held)
        self.mouse("mouseMoved", *stop, **{**held, "buttons": 1})
        self.mouse("mouseReleased", *stop, **held)

    def click(self, x, y, count=1):
        """Clicks with the left button."""
        for number in range(1, count + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.mouse(kind, x, y, button="left", clickCount=number)

    def screenshot(self):
        """The page as the bytes of a PNG file."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])

    def errors(self):
        """The texts of exceptions and errors that the page has logged."""
        found = []
        for event in self.browser.events:
            kind, parameters = event["method"], event["params"]
            if event.get("sessionId") != self.session:
                continue
            if kind == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"]))
            elif kind == "Log.entryAdded" and parameters["entry"]["level"] == "error":
                found.append(parameters["entry"]["text"])
        return found

    def close(self):
        self.browser.send("Target.closeTarget", targetId=self.target)
