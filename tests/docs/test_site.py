"""The documentation site builds strictly, leads nowhere wrong, and asks nobody else for anything."""

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from docs.pages import DOCS, ROOT

sys.path.insert(0, str(ROOT / "tools"))

import build_site

FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
FETCHED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "prefetch", "modulepreload"}


@dataclass
class Page(HTMLParser):
    """What a built page has: places to lead to, links, and what a browser fetches for it."""

    path: Path
    places: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path):
        """Read a page."""
        page = cls(path)
        HTMLParser.__init__(page)
        page.feed(path.read_text(encoding="utf-8"))
        return page

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in FETCHED and given.get(FETCHED[tag]):
            self.fetched.append(given[FETCHED[tag]])
        if tag == "link" and FETCHED_LINKS & set((given.get("rel") or "").split()):
            self.fetched.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as tools/docs does; it fails where zensical finds anything wrong."""
    folder = tmp_path_factory.mktemp("site") / "site"
    build_site.build(folder)
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """Every page of the site; 404.html is served at any address, and is judged by its host."""
    return {path: Page.of(path) for path in site.rglob("*.html") if path.name != "404.html"}


def broken(pages):
    """Find the links that lead to no page, or to no place of it."""
    found = []
    for page in pages.values():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            file = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            place = unquote(parts.fragment)
            is_there = file in pages and (not place or place in pages[file].places)
            if not is_there and not (file.is_file() and not place):
                found.append(f"{page.path.name}: {link}")
    return found


def fetched_elsewhere(page):
    """Find what a browser would fetch for a page from another place than the site."""
    styled = page.path.read_text(encoding="utf-8")
    imported = re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", styled)
    return [url for url in page.fetched if urlsplit(url).netloc] + imported


def test_every_document_is_a_page(pages, site):
    """Each page of docs/ is in the site, the decisions too."""
    built = {path.relative_to(site).with_suffix(".md").as_posix() for path in pages}
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert written - built == set()
    assert any(name.startswith("adr/") for name in written)


def test_links_of_the_site_lead_somewhere(pages):
    """Each link within the site leads to a page and, where it names one, to a place in it."""
    assert sum(len(page.links) for page in pages.values()) > 1000
    assert broken(pages) == []


def test_no_page_fetches_from_elsewhere(pages, site):
    """Scripts, styles, fonts and images are the site's own."""
    assert {url for page in pages.values() for url in fetched_elsewhere(page)} == set()
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", text) == [], style.name


def test_what_stands_outside_of_docs_is_shown(pages, site):
    """A link to a document or an example of the repository leads to a page with it."""
    shown = (site / "source" / "SECURITY.html").read_text(encoding="utf-8")
    assert "the server secret alone" in shown
    assert any(path.is_relative_to(site / "source" / "examples") for path in pages)


def test_the_checks_of_the_site_find_what_is_wrong(tmp_path):
    """A link that leads nowhere and a font from elsewhere are found."""
    path = tmp_path / "page.html"
    path.write_text(
        '<h1 id="top"></h1><a href="#top"></a><a href="#gone"></a><a href="gone.html"></a>'
        '<a href="https://example.com/"></a><script src="//elsewhere.example/a.js"></script>'
        '<style>@import "https://fonts.example/a.css"; a { background: url(own.png) }</style>'
    )
    page = Page.of(path)
    assert broken({path: page}) == ["page.html: #gone", "page.html: gone.html"]
    assert fetched_elsewhere(page) == ["//elsewhere.example/a.js", "https://fonts.example/a.css"]


def test_a_page_with_a_dead_link_does_not_build(tmp_path, monkeypatch):
    """The build is strict: a link of a document to nothing fails it."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# A page\n\n[nowhere](gone.md)\n")
    (tmp_path / "zensical.toml").write_text('[project]\nsite_name = "A site"\n')
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    monkeypatch.setattr(build_site, "DOCS", docs)
    with pytest.raises(build_site.subprocess.CalledProcessError):
        build_site.build(tmp_path / "site")
