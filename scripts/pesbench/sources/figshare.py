"""Any article of figshare by its number, as its interface of version 2 describes it (https://docs.figshare.com)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pesbench.errors import SourceError
from pesbench.files import write_atomic
from pesbench.sources.download import download
from pesbench.sources.store import Store
from pesbench.sources.wanted import Wanted

API_URL = "https://api.figshare.com/v2"
DOWNLOAD_URL = "https://ndownloader.figshare.com/files"
MIRROR_FOLDER = "figshare"
ARTICLE = "article.json"
#: Files of an article asked for at a time; the article itself lists a few of them only.
PAGE_SIZE = 100
MOST_PAGES = 100
MOST_BYTES = 20 * 2**30
BROWSER = (
    "open https://figshare.com/articles/dataset/_/{article} in a browser, and put the file into a mirror"
)


def file_addresses(
    number: int | str, api_url: str = API_URL, download_url: str = DOWNLOAD_URL
) -> tuple[str, str]:
    """Return both addresses of a file: each of them is, at times, closed to scripts or to whole networks."""
    return f"{download_url}/{number}", f"{api_url}/file/download/{number}"


@dataclass(frozen=True)
class Figshare:
    """The files of one article.

    Attributes
    ----------
    files
        What the interface says of each file, by its name: ``id``, ``size``, ``computed_md5``.
    mirror
        Folder with ``figshare/<article>/article.json`` and its files; None: the network.
    """

    article: str
    files: Mapping[str, Mapping[str, Any]]
    version: str = ""
    licence: str = ""
    mirror: Path | None = None
    addresses: tuple[str, str] = (API_URL, DOWNLOAD_URL)
    name: str = field(default="figshare")

    def ids(self) -> Iterator[str]:
        """Yield the names of the files in the article's order."""
        yield from self.files

    def wanted(self, name: str, output: Path) -> Wanted:
        """Return where one file is, with the digest that figshare states."""
        if name not in self.files:
            known = ", ".join(sorted(self.files))
            raise SourceError(f"{name}: figshare's article {self.article} has no such file; it has {known}")
        file = self.files[name]
        first, second = file_addresses(file["id"], *self.addresses)
        return Wanted(
            name=name,
            url=first,
            also=(second,),
            output=output,
            md5=str(file["computed_md5"] or file["supplied_md5"]),
            most_bytes=int(file["size"]),
            mend=BROWSER.format(article=self.article),
            mirror=self.mirror / MIRROR_FOLDER / self.article / name if self.mirror else None,
        )

    def convert(self, name: str, path: Path) -> bytes:
        """Return the bytes: what they mean is the business of who asked for them."""
        return path.read_bytes()


def article(
    number: str,
    folder: Path,
    store: Store,
    mirror: Path | None = None,
    addresses: tuple[str, str] = (API_URL, DOWNLOAD_URL),
) -> Figshare:
    """Return an article with all its files; what was once asked is kept in ``folder`` and not asked again.

    Raises
    ------
    SourceError
        One line: no such article, no answer, or another answer than figshare's.
    """
    kept = folder / ARTICLE
    if mirror:
        source = mirror / MIRROR_FOLDER / number / ARTICLE
        url = f"{addresses[0]}/articles/{number}#with-all-files"
        download(Wanted(f"figshare's article {number}", url, kept, check=_check, mirror=source), store)
    if not kept.is_file():
        write_atomic(kept, json.dumps(_ask(number, folder, store, addresses[0]), indent=1) + "\n")
    data = _read(kept)
    licence = data.get("license") or {}
    return Figshare(
        article=number,
        files={file["name"]: file for file in data["files"]},
        version=f"article {number}, version {data.get('version', 'not stated')}",
        licence=str(licence.get("name", "not stated")),
        mirror=mirror,
        addresses=addresses,
    )


def _ask(number: str, folder: Path, store: Store, api_url: str) -> dict[str, Any]:
    """Return the article with every file, page after page."""
    about: dict[str, Any] = _answer(number, f"{api_url}/articles/{number}", folder, store, _check)
    files: list[dict[str, Any]] = []
    for page in range(1, MOST_PAGES + 1):
        url = f"{api_url}/articles/{number}/files?page={page}&page_size={PAGE_SIZE}"
        more = _answer(number, url, folder, store, _check_files)
        files += more
        if len(more) < PAGE_SIZE:
            break
    return {**about, "files": files}


def _answer(number: str, url: str, folder: Path, store: Store, check: Callable[[Path], None]) -> Any:
    """Return one answer of the interface; what is not one is not kept."""
    output = folder / ".answer.json"
    output.unlink(missing_ok=True)
    mend = BROWSER.format(article=number)
    download(Wanted(f"figshare's article {number}", url, output, check=check, mend=mend), store)
    data = _json(output)
    output.unlink()
    return data


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise SourceError(f"{path}: is not the JSON that figshare gives") from error


def _check(path: Path) -> None:
    """Raise where the file is not an article."""
    _read(path)


def _read(path: Path) -> dict[str, Any]:
    data = _json(path)
    if not isinstance(data, dict) or "files" not in data:
        raise SourceError(f"{path}: is not an article as figshare gives it")
    _sound(data["files"], path)
    return data


def _check_files(path: Path) -> None:
    """Raise where the file is not a page of an article's files."""
    _sound(_json(path), path)


def _sound(files: Any, path: Path) -> None:
    """Raise where files are not described as figshare does it, or a name leads out of its folder."""
    try:
        for file in files:
            int(file["id"]), int(file["size"])
            if (
                not (file["computed_md5"] or file["supplied_md5"])
                or PurePosixPath(file["name"]).name != file["name"]
            ):
                raise ValueError(file["name"])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path}: is not an article as figshare gives it ({type(error).__name__})"
        ) from error
