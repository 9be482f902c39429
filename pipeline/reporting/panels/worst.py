"""Panel: the worst predictions, with frames."""

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from pipeline.reporting.panels.shared.axes import UNKNOWN, codec_of
from pipeline.reporting.panels.shared.markup import joined, note
from pipeline.reporting.panels.shared.pictures import (
    Frame,
    frames_of,
    middle_frames,
    picture,
    policy_of,
    view_set_to_show,
)
from pipeline.reporting.panels.shared.section import Section
from pipeline.reporting.panels.shared.wording import bounds, decimal, listed, score_digits, signed
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Run
from pipeline.reporting.settings import ReportSettings

TITLE = "Worst predictions"
ORDER = 70


def section(run: Run, settings: ReportSettings) -> Section | None:
    """The videos with the largest errors and what they have in common; None where none are asked for."""
    rows = worst(run, settings.worst)
    if not rows:
        return None
    text, seen = "The middle frame of each video", dict[str, Sequence[Frame]]()
    if run.clips is not None:
        view_set = view_set_to_show(run.clips)
        policy = policy_of(run.clips, view_set)
        how = "patches at native resolution, put together" if policy == "fragments" else f"view set “{view_set}”"
        text += f", and below it frames as the models saw them ({how})"
        seen = {row.video_id: frames_of(run.clips, view_set, row.video_id) for row in rows}
    originals = middle_frames([row.video for row in rows if row.video is not None], run.root / "data")
    digits = {part.dataset: score_digits(part) for part in run.parts}
    cards = []
    for place, row in enumerate(rows, start=1):
        name, whole = row.video_id, originals.get(row.video_id, "data/videos.csv is not there")
        pictures = [
            note(f"No whole frame: {whole}.") if isinstance(whole, str) else picture([whole], f"A frame of {name}"),
            picture(seen[name], f"What the models saw of {name}") if seen.get(name) else Markup(),
            _facts(place, row, digits[row.dataset]),
        ]
        cards.append(Markup("<li>{}</li>").format(Markup().join(pictures)))
    body = [note(f"{text}."), Markup('<ol class="cards">\n{}\n</ol>').format(joined(cards))]
    return Section(_sentence(rows), joined(body))


def worst(run: Run, count: int) -> list[Prediction]:
    """The video with the largest error of each content, the ``count`` largest as a share of their scale first."""
    lengths = {part.dataset: part.length or 1.0 for part in run.parts}
    worst_last = sorted(run.predictions, key=lambda row: (abs(row.error) / lengths[row.dataset], row.video_id))
    of_contents = {row.content or row.video_id: row for row in worst_last}
    return [row for row in reversed(worst_last) if of_contents[row.content or row.video_id] is row][:count]


def _sentence(rows: Sequence[Prediction]) -> str:
    high, taught = sum(row.error > 0 for row in rows), [row for row in rows if row.teacher is not None]
    parts = [f"{high} of the {len(rows)} largest errors, one a content, are scores that are too high"]
    codec, count = min(Counter(map(codec_of, rows)).items(), key=lambda item: (-item[1], item[0]))
    if codec != UNKNOWN:
        parts.append(f"{count} are of {codec} videos")
    if taught:
        closer = sum(abs((row.teacher or 0.0) - row.mos) < abs(row.error) for row in taught)
        parts.append(f"the teacher is closer to the truth in {closer}")
    return f"{listed(parts)}."


def _facts(place: int, row: Prediction, digits: int) -> Markup:
    """What is known of a video, and its scores."""
    level, rate = f"level {row.level}" if row.level else "", f"{row.rate:.0f} kbit/s" if row.rate else ""
    known = ", ".join(filter(None, [row.codec, level, rate, "out of domain" if row.out_of_domain else ""]))
    ends = bounds(row.low, row.high, 0)
    scores = {
        "true": decimal(row.mos, digits),
        "student": Markup('{} <span class="interval">{}</span>').format(decimal(row.student, digits), ends),
        "error": signed(row.error, digits),
        "teacher": decimal(row.teacher, digits),
    }
    entries = Markup().join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(*item) for item in scores.items())
    return Markup("<h4>{}. {}</h4><p>{}</p><dl>{}</dl>").format(place, row.video_id, known, entries)
