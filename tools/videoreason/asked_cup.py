"""The questions about cup, in the published words."""

from collections import Counter

from .answers import board_values, coin_cells, swapped_cups
from .asked import Asked, QuestionBody, numbered, reaching, span
from .boards import LETTERS, NONE, Board, write_differing
from .cup import Swap, coins, name_of
from .replays import cup_reached

COINS = ("empty", "coin")


class AskedCup(Asked[Board, Swap]):
    """Questions about coins under cups."""

    def introduction(self) -> str:
        """Tell of the cups."""
        side = len(self.video.hidden)
        board = (
            f"The video presents a 'Tricky Cup' puzzle on a {side}x{side} board. The board is filled with cups, each hiding either a "
            "yellow coin or nothing underneath. "
        )
        moves = "Then, the cups begin a series of moves—each move swaps the positions of two cups, along with their hidden contents. "
        if self.video.shown == "start":
            return (
                f"{board}At the start, all cups are briefly lifted to reveal what's beneath them. {moves}Please carefully watch the "
                "video and "
            )
        return (
            f"{board}Initially, the contents under the cups are completely hidden. {moves}Toward the end, all cups are briefly lifted "
            "to reveal what's beneath them. Please carefully watch the video and "
        )

    def order_operation(self) -> QuestionBody:
        """Ask for swaps in their order."""
        numbers = self._stretch(len(self.video.operations))
        text = (
            f"Assume that each time two cups swap their positions, it counts as one move. What are the {span(numbers)} moves shown in "
            "the video? For each move, provide the move number and the coordinates of the two cups that swapped positions. Format "
            "your response like this: 1st: (a1, b2), 2nd: (c2, b1), 3rd: (a3, c1)."
        )
        return QuestionBody(text, numbered(numbers, list(map(_pair, self.video.operations))), swapped_cups)

    def counting_operation(self) -> QuestionBody:
        """Ask how often the cups of one row were swapped."""
        rows = Counter(cell[0] for swap in self.video.operations for cell in swap)
        row = self.rng.choice(sorted(rows))
        within = [[name_of(cell) for cell in swap if cell[0] == row] for swap in self.video.operations]
        lines = [names[0] if len(names) == 1 else f"({','.join(names)})" for names in within if names]
        text = (
            f"How many times were the cups in the row '{LETTERS[row]}' involved in the swaps? For each instance, provide the "
            "coordinate(s) of the cup(s) before the swap occurred. Format your response like this: 1st: a1, 2nd: a3, 3rd: (a1,a2) (Use a "
            "single coordinate for individual cups, or a tuple for multiple cups involved in the same swap.)"
        )
        return QuestionBody(text, numbered(range(1, len(lines) + 1), lines), swapped_cups)

    def state(self) -> QuestionBody:
        """Ask where the coins are."""
        text = (
            f"What are the positions of all the coins at the {self.video.hidden_end} of the video? Provide the coordinates of each coin "
            "(e.g., a2, b1, c3)."
        )
        return QuestionBody(text, _coins(self.video.hidden), coin_cells)

    def comparison_state(self) -> QuestionBody:
        """Ask where contents differ."""
        text = (
            "Compare the distribution of contents beneath the cups at the start and end of the video. What are the positions where the "
            "contents beneath the cups differ between the two boards? Provide their coordinates along with the corresponding content "
            f"at the {self.video.hidden_end} of the video. Format your response like this: a1: empty, b3: coin."
        )
        answer = write_differing(self.video.visible, self.video.hidden, name_of, COINS.__getitem__)
        return QuestionBody(text, answer, board_values({word: value for value, word in enumerate(COINS)}))

    def prediction_state(self) -> QuestionBody:
        """Ask where the coins are after further swaps."""
        operations, board = self._further()
        text = (
            f"{self._as_hidden()}, and the following cup swaps are executed in order: `{', '.join(map(_pair, operations))}`, what will "
            "be the new distribution of the coins? Provide the coordinates of the coins (e.g., a1, b2)."
        )
        return QuestionBody(text, _coins(board), coin_cells)

    def prediction_operation(self) -> QuestionBody:
        """Ask for swaps to a distribution."""
        operations, board = self._leading(lambda state: state != self.video.hidden)
        text = (
            f"{self._as_hidden()}, what sequence of cup swaps should be executed to achieve the desired distribution of coins: "
            f"`{_coins(board)}`? Format your response as a list of coordinate pairs, such as: (a1, b2), (c3, b1). Each pair represents a "
            "single swap between two cups."
        )
        return QuestionBody(text, ", ".join(map(_pair, operations)), reaching(cup_reached, self.video.hidden))

    def _as_hidden(self) -> str:
        return f"If the distribution of coins on the board is currently in the same state as it was at the {self.video.hidden_end} of the video"


def _pair(swap: Swap) -> str:
    return f"({name_of(swap[0])}, {name_of(swap[1])})"


def _coins(board: Board) -> str:
    return ", ".join(map(name_of, coins(board))) or NONE
