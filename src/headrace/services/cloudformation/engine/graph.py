"""In which order resources are made: each after those that it needs."""

from collections.abc import Iterable, Mapping

from headrace.kit.errors import ValidationError


def order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The names so that each stands behind what it needs; otherwise in the given order. ValidationError names a circle."""
    left = {name: {other for other in others if other in needs} for name, others in needs.items()}
    needed_by: dict[str, list[str]] = {name: [] for name in left}
    for name, others in left.items():
        for other in others:
            needed_by[other].append(name)
    ready = [name for name, others in left.items() if not others]
    found: list[str] = []
    for name in ready:
        found.append(name)
        for user in needed_by[name]:
            left[user].discard(name)
            if not left[user]:
                ready.append(user)
    if len(found) < len(left):
        circle = _without_followers({name: others for name, others in left.items() if others})
        raise ValidationError(f"Circular dependency between resources: [{', '.join(sorted(circle))}]")
    return found


def _without_followers(left: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the names that only stand behind a circle: nobody that is left needs them."""
    while True:
        needed = {other for others in left.values() for other in others}
        inside = {name: others for name, others in left.items() if name in needed}
        if len(inside) == len(left):
            return left
        left = inside
