"""Scatter plots for the page: SVG that needs no JavaScript, with a text for each point to show on hover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 42


@dataclass(frozen=True)
class Axis:
    """One axis: title with unit, range, and (value, label) of its ticks."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def fraction(self, value: float) -> float:
        """Return where a value lies between the ends, 0 to 1; values beyond lie on the end."""
        return (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)

    def holds(self, value: float) -> bool:
        """Return whether a value lies within the ends."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Point:
    """One point: ``kind`` is published, ours or lost (a cross); one surface has one ``key`` everywhere."""

    x: float
    y: float
    kind: str
    key: str
    tip: str


@dataclass(frozen=True)
class Scatter:
    """A scatter plot of one model."""

    label: str
    color: str
    x: Axis
    y: Axis
    points: Sequence[Point]
    diagonal: bool = False
    bands: Sequence[float] = ()
    width: int = 420
    height: int = 400


def draw(plot: Scatter) -> Markup:
    """Return a plot as SVG; a point beyond an axis is a triangle on the edge."""
    parts = [
        Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}" style="--model:{}">').format(
            plot.width, plot.height, plot.label, plot.color
        ),
        *_frame(plot),
        *(_point(plot, point) for point in plot.points),
        Markup("</svg>"),
    ]
    return Markup("\n").join(parts)


def _position(plot: Scatter, x: float, y: float) -> tuple[float, float]:
    across, down = plot.width - LEFT - RIGHT, plot.height - TOP - BOTTOM
    return LEFT + across * plot.x.fraction(x), TOP + down * (1 - plot.y.fraction(y))


def _frame(plot: Scatter) -> list[Markup]:
    """Return everything behind the points: bands, parity line, box, ticks and titles."""
    right, bottom = plot.width - RIGHT, plot.height - BOTTOM
    parts = []
    for band in sorted(plot.bands, reverse=True):
        top, low = _position(plot, 0, band)[1], _position(plot, 0, -band)[1]
        rect = Markup('<rect class="band" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>')
        parts.append(rect.format(LEFT, top, right - LEFT, low - top))
    line = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    if plot.diagonal:
        start, end = _position(plot, plot.x.low, plot.y.low), _position(plot, plot.x.high, plot.y.high)
        parts.append(line.format("parity", *start, *end))
    box = Markup('<rect class="box" x="{}" y="{}" width="{}" height="{}"/>')
    parts.append(box.format(LEFT, TOP, right - LEFT, bottom - TOP))
    slanted = len(plot.x.ticks) > 10
    for value, label in plot.x.ticks:
        x = _position(plot, value, 0)[0]
        text = '<text class="tick" x="{x:.1f}" y="{y}" text-anchor="{a}"{t}>{label}</text>'
        turn = Markup(' transform="rotate(-90 {:.1f} {})"').format(x + 4, bottom + 8) if slanted else ""
        parts.append(
            Markup(text).format(
                x=x + 4 * slanted,
                y=bottom + (8 if slanted else 16),
                a="end" if slanted else "middle",
                t=turn,
                label=label,
            )
        )
    for value, label in plot.y.ticks:
        y = _position(plot, 0, value)[1]
        parts.append(line.format("grid", LEFT, y, right, y))
        tick = Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>')
        parts.append(tick.format(LEFT - 6, y + 4, label))
    title = Markup('<text class="axis" x="{}" y="{}" text-anchor="middle"{}>{}</text>')
    middle = (TOP + bottom) / 2
    parts.append(title.format((LEFT + right) / 2, plot.height - 4, "", plot.x.title))
    parts.append(
        title.format(13, middle, Markup(' transform="rotate(-90 13 {})"').format(middle), plot.y.title)
    )
    return parts


def _point(plot: Scatter, point: Point) -> Markup:
    x, y = _position(plot, point.x, point.y)
    if not plot.x.holds(point.x) or not plot.y.holds(point.y):
        up = 1 if point.y > plot.y.low else -1
        shape = Markup('<path d="M{:.1f} {:.1f}l-5 {}h10z"/>').format(x, y - 4 * up, 8 * up)
    elif point.kind == "lost":
        shape = Markup('<path d="M{:.1f} {:.1f}l8 8m0 -8l-8 8"/>').format(x - 4, y - 4)
    else:
        shape = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(
            x, y, 3 if point.kind == "ours" else 4.5
        )
    group = Markup('<g class="pt {}" data-key="{}" data-tip="{}" aria-label="{}">{}</g>')
    return group.format(point.kind, point.key, point.tip, point.tip, shape)
