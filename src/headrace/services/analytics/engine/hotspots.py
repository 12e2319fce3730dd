"""HOTSPOTS: places where points lie closer together than elsewhere, among the last rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from headrace.services.analytics.engine.nodes import Field, Node, Pieces
from headrace.services.analytics.engine.packing import decode, encode, pack_array, unpack_array
from headrace.services.analytics.engine.sqltypes import Array, Batch, SqlType, from_list

_RESULT = SqlType("VARCHAR", 10_000)


class Hotspots(Node):
    """The rows below, each with the hotspot that it lies in or next to, among the last `window` rows, as JSON.

    A point with enough others within the radius is the middle of a hotspot; points within the radius of each other's middles
    belong together (DBSCAN). Density is their number by the volume of the box around them, whose sides are at least the radius.
    """

    def __init__(self, child: Node, places: Sequence[int], window: int, radius: float, fewest: int) -> None:
        super().__init__([child])
        self.fields = [*child.fields, Field("HOTSPOTS_RESULT", _RESULT)]
        self._places = places
        self._window, self._radius, self._fewest = window, radius, fewest
        self._points: Array = np.full((window, len(places)), np.inf)
        self._near = np.zeros((window, window), np.bool_)
        self._next = 0
        self._changed = False

    def step(self, clock: int) -> Batch | None:
        """The rows with what is around them."""
        batch = self.children[0].step(clock)
        if batch is None:
            return None
        columns = [batch.columns[place].to_list() for place in self._places]
        results: list[str | None] = []
        for values in zip(*columns, strict=True):
            if None in values:
                results.append(None)
                continue
            place = self._add(np.array([float(value) for value in values]))
            results.append(self._around(place))
        self._changed = True
        return Batch([*batch.columns, from_list(results, _RESULT)], batch.times, batch.order)

    def _add(self, point: Array) -> int:
        place = self._next % self._window
        self._next += 1
        self._points[place] = point
        with np.errstate(invalid="ignore"):
            near = ((self._points - point) ** 2).sum(axis=1) <= self._radius**2
        self._near[place, :] = near
        self._near[:, place] = near
        return place

    def _around(self, place: int) -> str:
        counts = self._near.sum(axis=1)
        middles = counts >= self._fewest
        found = self._near[place] & middles
        while True:
            grown = found | (self._near[found].any(axis=0) & middles)
            if (grown == found).all():
                break
            found = grown
        spots: list[dict[str, Any]] = []
        if found.any():
            members = self._points[self._near[found].any(axis=0)]
            low, high = members.min(axis=0), members.max(axis=0)
            volume = float(np.prod(np.maximum(high - low, self._radius)))
            spots.append({"density": len(members) / volume, "minValues": low.tolist(), "maxValues": high.tolist()})
        return msgspec.json.encode({"hotspots": spots}).decode()

    def save(self, everything: bool) -> Pieces:
        """The points of the window."""
        if not (everything or self._changed):
            return {}
        self._changed = self._changed and everything
        return {"points": encode([self._next, pack_array(self._points.ravel())])}

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the points back, in the order in which they came."""
        if "points" not in pieces:
            return
        count, packed = decode(pieces["points"])
        points = unpack_array(packed).reshape(self._points.shape)
        self._next = max(0, count - self._window)
        for number in range(self._next, count):
            self._add(points[number % self._window])
