"""The keys with the largest sums of very many, in bounded memory (space-saving, by Metwally, Agrawal and El Abbadi)."""

import heapq

Contributor = tuple[str, ...]


class Heavy:
    """Sums by key, of `most` keys at one time.

    A key that finds no room takes that of the one with the least, and its sum with it. So no sum is too small, and none is too
    large by more than `total` / `most`: whoever has more than that of all is here.
    """

    __slots__ = ("_heap", "_most", "sums", "total")

    def __init__(self, most: int) -> None:
        self._most = most
        # One entry for each key, with a sum that it had once: put right when it comes to the front.
        self._heap: list[tuple[float, Contributor]] = []
        self.sums: dict[Contributor, float] = {}
        self.total = 0.0

    def add(self, key: Contributor, amount: float) -> None:
        """Count an amount for a key."""
        self.total += amount
        sums = self.sums
        if key in sums:
            sums[key] += amount
            return
        if len(sums) < self._most:
            sums[key] = amount
            heapq.heappush(self._heap, (amount, key))
            return
        least, gone = self._heap[0]
        while sums[gone] != least:
            heapq.heapreplace(self._heap, (sums[gone], gone))
            least, gone = self._heap[0]
        del sums[gone]
        sums[key] = least + amount
        heapq.heapreplace(self._heap, (least + amount, key))
