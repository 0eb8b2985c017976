"""The built documentation in a browser. `make docs` builds it and runs this; without pages or Chromium, it skips."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

SITE = Path(__file__).parents[1] / "docs" / "_build" / "html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(not (SITE / "index.html").exists() or CHROMIUM is None, reason="make docs; Chromium")
PAGES = sorted(
    str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if not {"_static", "_modules"} & set(path.parts)
)
WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=WIDTHS)
def page(request, browser, site):
    width, height = WIDTHS[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    page.problems, page.kind, page.elsewhere = [], request.param, []

    def refuse(route):
        page.elsewhere.append(route.request.url)
        route.abort()

    page.route(lambda url: not url.startswith(site), refuse)
    page.on("console", lambda message: message.type == "error" and page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda request: page.problems.append(f"{request.url}: {request.failure}"))
    page.on("response", lambda answer: answer.status >= 400 and page.problems.append(f"{answer.url}: {answer.status}"))
    yield page
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_page_renders(page, site, name):
    page.problems.clear()
    page.elsewhere.clear()
    page.goto(site + name, wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise")  # mathematics is typeset
    page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    page.wait_for_function("[...document.images].every(i => i.complete)")
    assert not page.elsewhere, "pages need nothing from elsewhere"
    assert not page.problems
    assert page.locator("h1").count() == 1 or name in ("genindex.html", "search.html")
    assert page.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)") == []
    assert page.locator("mjx-merror").count() == 0
    raw = page.locator("article").inner_text() if page.locator("article").count() else ""
    assert "\\(" not in raw
    # What is wider than the screen scrolls by itself, the page does not.
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    if "DOCS_PICTURES" in os.environ:
        path = Path(os.environ["DOCS_PICTURES"]) / page.kind / f"{name.replace('/', '_')}.png"
        page.screenshot(path=path, full_page=True)


@pytest.mark.parametrize("name", ["index.html", "guide/series.html", "maths.html", "gallery/index.html", "api.html"])
def test_text_is_readable_on_a_phone(browser, site, name):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(site + name)
    size = "[...document.querySelectorAll('article p:not(table p)')].map(p => parseFloat(getComputedStyle(p).fontSize))"
    assert min(page.evaluate(size), default=16) >= 12
    right = "[...document.querySelectorAll('article p:not(table p)')].map(p => p.getBoundingClientRect().right)"
    assert max(page.evaluate(right), default=0) <= 391
    page.close()


def test_links_inside_the_site_resolve(browser, site):
    page = browser.new_page()
    anchors, links = {}, {}
    for name in PAGES:
        page.goto(site + name, wait_until="domcontentloaded")
        anchors[name] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)"))
        links[name] = set(page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)"))
    page.close()
    broken = []
    for name, targets in links.items():
        for target in targets:
            if not target.startswith(site):
                continue
            url, anchor = urldefrag(target)
            path = unquote(urlsplit(url).path).lstrip("/") or "index.html"
            if not (SITE / path).exists() or (anchor and path in anchors and unquote(anchor) not in anchors[path]):
                broken.append(f"{name} -> {target}")
    assert not broken
    assert sum(len(targets) for targets in links.values()) > 100


def test_search_finds(browser, site):
    page = browser.new_page()
    page.goto(site + "search.html?q=timescale")
    page.wait_for_selector("#search-results li")
    assert page.locator("#search-results li").count() > 3
    page.close()
