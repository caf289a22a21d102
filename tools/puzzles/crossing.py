"""River crossing: actors and their agents go over in a boat, and no actor may be with another's agent unless the own one is there.

Actor `a1` has the agent `g1`, and so on.  The rule holds on either bank and in the boat, which takes `seats` people and never goes empty.
With two seats at most 3 pairs can cross, with three seats 5, with four or more any number (Pressman & Singmaster 1989).

The procedure is a timetable, so many actors and so many agents at each crossing, alternately to the right and back; who it is, is to be
found: with the actors of the lowest numbers the agents of the lowest numbers for whom the rule holds everywhere, and if there are none, with
the next actors.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, islice
from typing import NamedTuple

from surefoot.errors import BadInput
from surefoot.voting.flags import NotAnAnswer

from .puzzle import NoMove, Puzzle, listed

People = tuple[str, ...]
"""`("a1", "g1", "a2")`: by number, an actor before the agent."""
Timetable = tuple[tuple[int, int], ...]
"""How many actors and agents are in the boat, crossing by crossing: the first to the right, the next one back."""

MOST_PAIRS = 1_000
MOST_TRIED = 500
"""Groups that are looked at for one crossing; on the way of the timetable a few are."""
MOST_WRONG = 20
_PERSON = r"[ag][1-9]\d{0,5}+"
_TOLD = re.compile(
    rf"Crossing to the (right|left): (\d{{1,6}}) actors?, (\d{{1,6}}) agents?\.\n"
    rf"Left bank: ({listed(_PERSON)})\nRight bank: ({listed(_PERSON)})"
)


class CrossingPosition(NamedTuple):
    """What the next crossing depends on."""

    rightward: bool
    actors: int
    """How many of them cross."""
    agents: int
    left: People
    right: People


def everyone(pairs: int) -> People:
    """Return all actors and agents."""
    return tuple(f"{kind}{number}" for number in range(1, pairs + 1) for kind in "ag")


def in_order(people: Iterable[str]) -> People:
    """Return people by number, an actor before the agent."""
    return tuple(sorted(people, key=lambda person: (int(person[1:]), person)))


def safe(people: Iterable[str]) -> bool:
    """Whether no actor of these is with an agent without the own one."""
    numbers: dict[str, set[str]] = {"a": set(), "g": set()}
    for person in people:
        numbers[person[0]].add(person[1:])
    return not numbers["g"] or numbers["a"] <= numbers["g"]


@lru_cache(16)
def timetable(pairs: int, seats: int) -> Timetable:
    """Return a timetable for everybody to cross; raises `BadInput` if there is none.

    With four seats or more couples go over, as many as there is room for, and one comes back; with fewer seats it is the
    shortest that a breadth-first search finds.
    """
    if not 1 <= pairs <= MOST_PAIRS:
        raise BadInput(f"1 to {MOST_PAIRS} pairs cross, not {pairs!r}")
    if seats < 2:
        raise BadInput(f"a boat that comes back has at least 2 seats, not {seats!r}")
    couples = seats // 2
    if couples == 1 and pairs > 1:
        return _searched(pairs, seats)
    trips = []
    while pairs > couples:
        trips += [(couples, couples), (1, 1)]
        pairs -= couples - 1
    return (*trips, (pairs, pairs))


def _searched(pairs: int, seats: int) -> Timetable:
    if pairs > {2: 3, 3: 5}[seats]:
        raise BadInput(
            f"{pairs} pairs cannot cross with {seats} seats: at most 3 can with two, 5 with three, any number with four"
        )
    all_people = everyone(pairs)
    crews = [
        (actors, some - actors) for some in range(seats, 0, -1) for actors in range(some + 1)
    ]  # full boats first
    begin = (all_people, True)
    came: dict[tuple[People, bool], tuple[tuple[People, bool], tuple[int, int]]] = {}
    open_ones = deque([begin])
    while open_ones:
        here = open_ones.popleft()
        left, rightward = here
        if not left:
            trips: list[tuple[int, int]] = []
            while here != begin:
                here, crew = came[here]
                trips.append(crew)
            return tuple(reversed(trips))
        right = tuple(person for person in all_people if person not in left)
        for crew in crews:
            position = CrossingPosition(rightward, *crew, left, right)
            try:
                there = CROSSING.after(position, CROSSING.right(position)), not rightward
            except NoMove:
                continue
            if there != begin and there not in came:
                came[there] = here, crew
                open_ones.append(there)
    raise BadInput(f"no timetable was found for {pairs} pairs and {seats} seats")


class CrossingPuzzle(Puzzle[CrossingPosition, People, People]):
    """River crossing, with any number of pairs; a board is who is on the left bank, for the others are on the right one."""

    name = "crossing"
    board_label = "left"
    move_form = board_form = listed(_PERSON)

    def write_position(self, position: CrossingPosition) -> str:
        """Write the timetable's line and the banks."""
        rightward, actors, agents, left, right = position
        crew = f"{actors} {'actor' if actors == 1 else 'actors'}, {agents} {'agent' if agents == 1 else 'agents'}"
        return (
            f"Crossing to the {'right' if rightward else 'left'}: {crew}.\n"
            f"Left bank: {self.write_board(left)}\nRight bank: {self.write_board(right)}"
        )

    def read_position(self, lines: Sequence[str]) -> CrossingPosition:
        """Read them back."""
        told = _TOLD.fullmatch("\n".join(lines))
        if told is None:
            raise ValueError("no position of a crossing")
        side, actors, agents, left, right = told.groups()
        return CrossingPosition(side == "right", int(actors), int(agents), _people(left), _people(right))

    def right(self, position: CrossingPosition) -> People:
        """Find those with the lowest numbers for whom the rule holds."""
        for crew in islice(_crews(position), MOST_TRIED):
            if _broken_rule(position, crew) is None:
                return in_order(crew)
        raise NoMove("nobody can cross as the timetable says")

    def others(self, position: CrossingPosition) -> Sequence[People]:
        """Return an empty boat, and other crews of the same size, some of which may not cross."""
        right = self.right(position)
        crews = [in_order(crew) for crew in islice(_crews(position), MOST_WRONG)]
        return [(), *(crew for crew in crews if crew != right)]

    def after(self, position: CrossingPosition, move: People) -> People:
        """Return who is on the left bank then."""
        if why := _broken_rule(position, move):
            raise NoMove(f"crew {self.write_move(move)} cannot cross: {why}")
        if position.rightward:
            return tuple(person for person in position.left if person not in move)
        return in_order((*position.left, *move))

    def before(self, position: CrossingPosition) -> People:
        """Return who is on the left bank."""
        return position.left

    def write_move(self, move: People) -> str:
        """`[a1, g1]`: who is in the boat."""
        return f"[{', '.join(move)}]"

    def read_move(self, text: str) -> People:
        """Read who is in the boat; nobody is there twice."""
        return _people(text)

    def write_board(self, board: People) -> str:
        """`[a2, g2]`: who is on the bank."""
        return f"[{', '.join(board)}]"

    def read_board(self, text: str) -> People:
        """Read who is on the bank; nobody is there twice."""
        return _people(text)


def _people(text: str) -> People:
    people = re.findall(_PERSON, text)
    if len(set(people)) < len(people):
        raise NotAnAnswer("a person is named twice")
    return in_order(people)


def _crews(position: CrossingPosition) -> Iterator[People]:
    bank = position.left if position.rightward else position.right
    actors, agents = ([person for person in bank if person[0] == kind] for kind in "ag")
    return (
        (*some, *others)
        for some in combinations(actors, position.actors)
        for others in combinations(agents, position.agents)
    )


def _broken_rule(position: CrossingPosition, crew: People) -> str | None:
    """Say which rule a crossing breaks, or None if it is legal."""
    here, there = position.left, position.right
    if not position.rightward:
        here, there = there, here
    aboard = set(crew)
    if strange := sorted(aboard.difference(here)):
        return f"{strange[0]} is not on the bank that the boat leaves"
    kinds = [sum(person[0] == kind for person in aboard) for kind in "ag"]
    if kinds != [position.actors, position.agents]:
        return f"the timetable wants {position.actors} actors and {position.agents} agents"
    for where, people in (
        ("in the boat", crew),
        ("on the bank that it leaves", [person for person in here if person not in aboard]),
        ("on the bank that it comes to", [*there, *crew]),
    ):
        if not safe(people):
            return f"{where} an actor is with another's agent"
    return None


CROSSING = CrossingPuzzle()
