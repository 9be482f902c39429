"""The parts that a section's markup is made of; every text is escaped."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from markupsafe import Markup


def joined(parts: Iterable[str]) -> Markup:
    """Parts one after the other."""
    return Markup("\n").join(parts)


def note(text: str) -> Markup:
    """A paragraph in a quiet voice."""
    return Markup('<p class="note">{}</p>').format(text)


def with_interval(value: str, interval: str) -> Markup:
    """A number with its interval below it."""
    return Markup("{}{}").format(value, Markup('<span class="interval">{}</span>').format(interval) if interval else "")


def table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Collection[str] = (),
    wide: Collection[str] = (),
) -> Markup:
    """A table whose first column names the rows.

    Args:
        caption: what it shows.
        header: column titles, the first of names.
        rows: cells as they are to be read.
        words: titles of columns that hold words rather than numbers.
        wide: titles of columns that a narrow screen leaves out.
    """
    kinds = {name: " ".join(["word"] * (name in words) + ["wide"] * (name in wide)) for name in header}
    head = Markup().join(Markup('<th scope="col" class="{}">{}</th>').format(kinds[name], name) for name in header)
    cell = Markup('<td class="{}">{}</td>')
    body = joined(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            first, Markup().join(cell.format(kinds[name], text) for name, text in zip(header[1:], rest, strict=True))
        )
        for first, *rest in rows
    )
    return Markup("<table>\n<caption>{}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>").format(
        caption, head, body
    )


def pairs(values: Mapping[str, str]) -> Markup:
    """Names and values, such as settings and digests."""
    entry = Markup("<div><dt>{}</dt><dd>{}</dd></div>")
    return Markup('<dl class="pairs">\n{}\n</dl>').format(joined(entry.format(*item) for item in values.items()))


def legend(entries: Mapping[str, Markup]) -> Markup:
    """Names with their swatches; nothing for a single one."""
    if len(entries) < 2:
        return Markup()
    items = Markup().join(Markup("<li>{}{}</li>").format(swatch, name) for name, swatch in entries.items())
    return Markup('<ul class="legend">{}</ul>').format(items)


def figure(svg: Markup, caption: str, entries: Mapping[str, Markup] | None = None) -> Markup:
    """A figure with its legend above and its caption below."""
    return Markup("<figure>{}{}<figcaption>{}</figcaption></figure>").format(legend(entries or {}), svg, caption)


def side_by_side(*parts: Markup, small: bool = False) -> Markup:
    """Figures and tables in columns where the screen is wide enough.

    Args:
        parts: what stands side by side; an empty one is left out.
        small: in three columns rather than two.
    """
    cells = joined(Markup("<div>{}</div>").format(part) for part in parts if part)
    return Markup('<div class="columns{}">\n{}\n</div>').format(" small" if small else "", cells)
