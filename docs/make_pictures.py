"""Photographs the report of Kettle's headline, by day and by night, for the README."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

from example_app import create_app
from example_app.seed import fill, seed

FOLDER = Path(__file__).with_name("pictures")
REPORT = "/abx/headline"
WIDTH, HEIGHT = 1200, 920
VISITORS = 6_000


def main() -> None:
    """Seed a shop of its own, serve it, and photograph the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    chromium = parser.parse_args().chromium
    with TemporaryDirectory() as folder:
        place = f"sqlite:///{folder}/kettle.db"
        shop = create_app({"TESTING": True, "SQLALCHEMY_DATABASE_URI": place})
        with shop.app_context():
            seed()
            fill(VISITORS)
        server = make_server("127.0.0.1", 0, shop, threaded=True)
        Thread(target=server.serve_forever).start()
        try:
            photograph(f"http://127.0.0.1:{server.port}{REPORT}", chromium)
        finally:
            server.shutdown()


def photograph(address: str, chromium: str) -> None:
    """Write one picture for light pages, and one for dark ones."""
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        for scheme in ("light", "dark"):
            page = browser.new_page(
                viewport={"width": WIDTH, "height": HEIGHT},
                color_scheme="light" if scheme == "light" else "dark",
            )
            page.goto(address, wait_until="networkidle")
            page.screenshot(path=FOLDER / f"report-{scheme}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
