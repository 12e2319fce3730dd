"""RANDOM_CUT_FOREST: how much each row differs from those before it, and why."""

from typing import Any

import krcf
import msgspec

from headrace.services.analytics.engine.nodes import Field, Node, Pieces
from headrace.services.analytics.engine.packing import decode, encode
from headrace.services.analytics.engine.sqltypes import DOUBLE, Batch, SqlType, from_list

SNAPSHOT_ROWS = 1000  # between two snapshots of the forest only the points are kept
SEED = 1
_EXPLANATION = SqlType("VARCHAR", 20_480)


class Forest(Node):
    """The rows below with an anomaly score, 0 until the forest has learned enough. A row with a NULL among its numbers has none.

    The score of a row is that of its point before the forest learns it. The explanation gives for each number how much of the
    score is due to it (ATTRIBUTION_SCORE), on which side it lies (DIRECTION), and how clear that is (STRENGTH: the difference
    between what speaks for one side and for the other). With a shingle of several rows, their parts are added.
    """

    def __init__(
        self, child: Node, places: list[int], trees: int, sample: int, decay: int, shingle: int, explained: bool, directed: bool
    ) -> None:
        super().__init__([child])
        self.fields = [*child.fields, Field("ANOMALY_SCORE", DOUBLE)]
        if explained:
            self.fields.append(Field("ANOMALY_EXPLANATION", _EXPLANATION))
        self._places = places
        self._names = [child.fields[place].name for place in places]
        self._explained, self._directed = explained, directed
        options: Any = {
            "dimensions": len(places), "shingle_size": shingle, "num_trees": trees, "sample_size": sample,
            "lambda": 1.0 / decay, "random_seed": SEED, "internal_shingling": shingle > 1, "output_after": max(1, sample // 4),
            "parallel_execution_enabled": False,
        }  # fmt: skip
        self._forest = krcf.RandomCutForest(options)
        self._tail: list[list[float]] = []
        self._changed = False
        self._kept = False

    def step(self, clock: int) -> Batch | None:
        """The rows with their scores."""
        batch = self.children[0].step(clock)
        if batch is None:
            return None
        columns = [
            [None if value is None else float(value) for value in batch.columns[place].to_list()] for place in self._places
        ]
        scores: list[float | None] = []
        reasons: list[str | None] = []
        for point in zip(*columns, strict=True):
            if None in point:
                scores.append(None)
                reasons.append(None)
                continue
            score, reason = self._score([value for value in point if value is not None])
            scores.append(score)
            reasons.append(reason)
        made = [*batch.columns, from_list(scores, DOUBLE)]
        if self._explained:
            made.append(from_list(reasons, _EXPLANATION))
        return Batch(made, batch.times, batch.order)

    def _score(self, point: list[float]) -> tuple[float, str | None]:
        forest = self._forest
        ready = forest.is_output_ready()
        score = forest.score(point) if ready else 0.0
        reason = self._explain(point, ready) if self._explained else None
        forest.update(point)
        self._tail.append(point)
        self._changed = True
        return score, reason

    def _explain(self, point: list[float], ready: bool) -> str:
        width = len(self._names)
        parts: Any = self._forest.attribution(point) if ready else {"high": [0.0] * width, "low": [0.0] * width}
        made: dict[str, dict[str, str]] = {}
        for place, name in enumerate(self._names):
            high, low = sum(parts["high"][place::width]), sum(parts["low"][place::width])
            made[name] = {}
            if self._directed:
                made[name] = {"DIRECTION": "HIGH" if high >= low else "LOW", "STRENGTH": f"{abs(high - low):.4f}"}
            made[name]["ATTRIBUTION_SCORE"] = f"{high + low:.4f}"
        return msgspec.json.encode(made).decode()

    def save(self, everything: bool) -> Pieces:
        """The forest, anew when many points came since it was last given; and the points that did."""
        if not everything and not self._changed:
            return {}
        if everything:
            return {"forest": self._forest.to_msgpack(), "tail": encode([])}
        pieces: Pieces = {}
        if len(self._tail) >= SNAPSHOT_ROWS or not self._kept:
            # Between snapshots the kept forest is older: what it learned since is in the tail, and is learned again.
            self._tail = []
            self._kept = True
            pieces["forest"] = self._forest.to_msgpack()
        if self._changed or pieces:
            pieces["tail"] = encode(self._tail)
        self._changed = False
        return pieces

    def load(self, pieces: dict[str, bytes]) -> None:
        """Put the forest back, and let it learn the points that came after its snapshot."""
        if "forest" in pieces:
            self._forest = krcf.RandomCutForest.from_msgpack(pieces["forest"])
            self._kept = True
        if "tail" in pieces:
            self._tail = decode(pieces["tail"])
            for point in self._tail:
                self._forest.update(point)
