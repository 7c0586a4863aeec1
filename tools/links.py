"""Checks the links of the pages: in the repository, and in the site that ./dev docs builds.

python links.py PROJECT_FOLDER SITE_FOLDER PAGE...

A page may link to pages and to pictures, without an anchor: GitHub and Doxygen name headings
differently, and the site has no copy of a source file.
"""

import re
import sys
from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
REFERENCE = re.compile(r'(?:href|src)="([^"#]+)[^"]*"')
KINDS = {".md", ".svg", ".png"}


def is_local(link: str) -> bool:
    return not re.match(r"[a-z]+:", link)


def faults_of_page(page: Path) -> list[str]:
    links = filter(is_local, LINK.findall(page.read_text(encoding="utf-8")))
    return [
        f"{page}: ({link}) is not a page or a picture of the tree"
        for link in links
        if Path(link).suffix not in KINDS or not (page.parent / link).is_file()
    ]


def faults_of_site(site: Path) -> list[str]:
    faults = []
    for page in sorted(site.glob("*.html")):
        links = filter(is_local, REFERENCE.findall(page.read_text(encoding="utf-8")))
        faults += [f"{page}: {link} is missing" for link in links if not (site / link).is_file()]
    return faults


def main() -> int:
    project, site, *pages = map(Path, sys.argv[1:])
    faults = [fault for page in pages for fault in faults_of_page(project / page)]
    faults += faults_of_site(site)
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
