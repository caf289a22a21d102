"""The questions about number, in the published words."""

from .answers import board_values, counted_cells, moved_tiles
from .asked import Asked, QuestionBody, counted, numbered, reaching, span
from .boards import Board, Move, label, write_board, write_differing
from .number import moved
from .replays import number_reached

ZERO = "Assuming the empty square is represented by '0'"
NUMBERS = "Provide the coordinates of each square along with the corresponding number (e.g., (a,1): 3, (a,2): 0, (b,1): 1, (b,2): 2)."


class AskedNumber(Asked[Board, Move]):
    """Questions about a sliding puzzle."""

    def introduction(self) -> str:
        """Tell of the masked board."""
        side = len(self.video.hidden)
        board = (
            f"The video presents a sliding puzzle on a {side}x{side} board. The board is filled with numbered squares, with one empty "
            "space. "
        )
        moves = "the puzzle undergoes a series of movements-only the squares adjacent to the empty space can be shifted into it. "
        if self.video.shown == "start":
            return (
                f"{board}The video begins by showing the starting arrangement of the numbers on the board. Then, the numbers are "
                f"visually masked with a blue overlay, and {moves}Please carefully watch the video and "
            )
        return (
            f"{board}Initially, all numbered squares are visually masked with a blue overlay. Then, {moves}The video ends by showing "
            "the final arrangement of the numbers on the board. Please carefully watch the video and "
        )

    def order_operation(self) -> QuestionBody:
        """Ask which squares moved, and where to."""
        numbers = self._stretch(len(self.video.operations))
        lines = [
            f"{square} {move[0]}" for square, move in zip(self._squares(), self.video.operations, strict=True)
        ]
        text = (
            f"What are the {span(numbers)} blue squares being moved? For each moved blue square, provide the following details:\n"
            "The order in which it was moved (e.g., 1st, 2nd, 3rd, etc)\n"
            "The coordinates before it was moved (e.g., (a,1), (c,2), etc)\n"
            "The direction it was moved (e.g., left, right, up, down)"
        )
        return QuestionBody(text, numbered(numbers, lines), moved_tiles)

    def counting_operation(self) -> QuestionBody:
        """Ask how often one direction was taken."""
        move = self.rng.choice(self.video.operations)
        found = [
            square
            for square, other in zip(self._squares(), self.video.operations, strict=True)
            if other == move
        ]
        text = (
            f"How many times was the '{move[0]}ward' move performed in the video? For each occurrence, provide the coordinate of the "
            "square (e.g., (a,1), (c,2)...) before the move."
        )
        return QuestionBody(text, counted(found), counted_cells)

    def state(self) -> QuestionBody:
        """Ask for the numbers."""
        text = f"{ZERO}, what is the arrangement of numbers on the board at the {self.video.hidden_end} of the video? {NUMBERS}"
        return QuestionBody(text, write_board(self.video.hidden, str), board_values())

    def comparison_state(self) -> QuestionBody:
        """Ask where numbers differ."""
        text = (
            f"{ZERO}, compare the number arrangements on the board at the start and end of the video. What are the squares where the "
            "numbers differ between the two boards? Provide their coordinates along with the corresponding number at the "
            f"{self.video.hidden_end} of the video (e.g., (a,1): 3, (b,1): 1)."
        )
        return QuestionBody(
            text, write_differing(self.video.visible, self.video.hidden, label, str), board_values()
        )

    def prediction_state(self) -> QuestionBody:
        """Ask for the numbers after further moves."""
        operations, board = self._further()
        moves = ", ".join(f"{move[0]}ward" for move in operations)
        text = (
            f"{self._as_hidden()}, and the following moves are executed: `{moves}`, what will be the arrangement of numbers on the "
            f"board? Assume that the empty square is represented by '0'. {NUMBERS}"
        )
        return QuestionBody(text, write_board(board, str), board_values())

    def prediction_operation(self) -> QuestionBody:
        """Ask for moves to an arrangement."""
        operations, board = self._leading(lambda state: state != self.video.hidden)
        text = (
            f"{self._as_hidden()}, what sequence of moves (left, right, up, down) should be executed to achieve the desired number "
            f"arrangement: `{write_board(board, str)}`? Assume that the empty square is represented by '0'. Note that moves cannot "
            "push any square beyond the board boundary."
        )
        return QuestionBody(
            text, ", ".join(move[0] for move in operations), reaching(number_reached, self.video.hidden)
        )

    def _as_hidden(self) -> str:
        return (
            "If the arrangement of numbers on the board is currently in the same state as it was at the "
            f"{self.video.hidden_end} of the video"
        )

    def _squares(self) -> list[str]:
        """Name the square that each operation moves."""
        return [
            label(moved(board, move))
            for board, move in zip(self.video.states, self.video.operations, strict=False)
        ]
