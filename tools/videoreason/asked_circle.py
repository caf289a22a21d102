"""The questions about circle, in the published words; they call a label (column, row), and mean (row, column), as is said here."""

from .answers import board_values, counted_cells, listed_directions
from .asked import Asked, QuestionBody, counted, reaching, span
from .boards import Move, label, write_differing
from .circle import COLOURS, FIRST_COLUMN, CircleState, write_pieces
from .replays import circle_reached

ONE_MOVE = (
    "Assume that each time the red circle moves from one grid intersection to an adjacent one (horizontally or vertically), "
    "it counts as one move."
)
PIECES = "using the format: (row, column): color (e.g., (a,1): black, (c,2): white)."
FLIPS = (
    "Each time the red circle passes by a position on the grid (excluding the starting position), the color of the piece at that "
    "position *and* the colors of its immediate orthogonal neighbors (up, down, left, and right) are flipped: black becomes white, "
    "and white becomes black. Note that diagonal neighbors are *not* affected. Neighbors are only considered if they exist within "
    "the grid's boundaries."
)
COLOUR_WORDS = {**{word: value for value, word in enumerate(COLOURS)}, "0": 0, "1": 1}


class AskedCircle(Asked[CircleState, Move]):
    """Questions about the red circle."""

    def introduction(self) -> str:
        """Tell of the pieces and how they flip."""
        side = len(self.video.hidden[0])
        if self.video.shown == "start":
            return (
                f"The video presents a {side}x{side} grid. At the beginning of the video, all positions on the grid are filled with "
                "either a black or white piece. Then, these pieces are visually hidden but still remain in their original positions. "
                f"A red circle then moves across the grid.\n\n{FLIPS}\n\nPlease carefully watch the video and "
            )
        return (
            f"The video presents a {side}x{side} grid. All positions on the grid are filled with either a black or white piece. These "
            f"pieces are visually hidden at the beginning of the video. A red circle then moves across the grid.\n\n{FLIPS}\n\nThe "
            "video ends by showing the final arrangement of black and white pieces on the grid. Please carefully watch the video and "
        )

    def order_operation(self) -> QuestionBody:
        """Ask for directions in their order."""
        numbers = self._stretch(len(self.video.operations))
        steps = [self.video.operations[number - 1][0] for number in numbers]
        text = (
            f"{ONE_MOVE} What are the directions (left, right, up, down) of the {span(numbers)} moves made by the red circle in the "
            "video? List them in order."
        )
        return QuestionBody(text, ", ".join(steps), listed_directions)

    def counting_operation(self) -> QuestionBody:
        """Ask how often one direction was taken."""
        move = self.rng.choice(self.video.operations)
        found = [
            label(state[1], FIRST_COLUMN)
            for state, other in zip(self.video.states, self.video.operations, strict=False)
            if other == move
        ]
        text = (
            f"{ONE_MOVE} Given the movement direction `{move[0]}`, how many times does the red circle perform this move? For each "
            "occurrence, provide the coordinate of the position before the move (e.g., (a,1), (c,2), etc)."
        )
        return QuestionBody(text, counted(found), counted_cells)

    def state(self) -> QuestionBody:
        """Ask for the pieces."""
        text = (
            f"What is the arrangement of the black and white pieces on the grid at the {self.video.hidden_end} of the video? Provide "
            f"each piece's coordinates and color {PIECES}"
        )
        return QuestionBody(text, write_pieces(self.video.hidden[0]), board_values(COLOUR_WORDS))

    def comparison_state(self) -> QuestionBody:
        """Ask where colours differ."""
        text = (
            f"{ONE_MOVE} Compare the arrangement of black and white pieces on the grid at the start and end of the video. What are the "
            "coordinates where the piece color differ between the two grids? Provide these coordinates along with the corresponding "
            f"piece color at the {self.video.hidden_end} of the video, {PIECES}"
        )
        before, after = self.video.visible[0], self.video.hidden[0]
        answer = write_differing(before, after, lambda cell: label(cell, FIRST_COLUMN), COLOURS.__getitem__)
        return QuestionBody(text, answer, board_values(COLOUR_WORDS))

    def prediction_state(self) -> QuestionBody:
        """Ask for the pieces after further moves."""
        operations, (board, _) = self._further()
        text = (
            f"{ONE_MOVE} {self._as_hidden()}, and the following moves are executed: `{_steps(operations)}`, what will be the "
            f"arrangement of black and white pieces on the grid? Provide each piece's coordinates and color {PIECES}"
        )
        return QuestionBody(text, write_pieces(board), board_values(COLOUR_WORDS))

    def prediction_operation(self) -> QuestionBody:
        """Ask for moves to an arrangement."""
        operations, (board, _) = self._leading(lambda state: state[0] != self.video.hidden[0])
        text = (
            f"{ONE_MOVE} The red circle cannot move beyond the grid boundary. {self._as_hidden()}, what sequence of moves (left, right, "
            "up, down) should be executed by the red circle to achieve the desired arrangement of black and white pieces: "
            f"`{write_pieces(board)}`? List them in order."
        )
        return QuestionBody(text, _steps(operations), reaching(circle_reached, self.video.hidden))

    def _as_hidden(self) -> str:
        return (
            "If the arrangement of black and white pieces and the position of the red circle on the grid is currently in the same "
            f"state as it was at the {self.video.hidden_end} of the video"
        )


def _steps(operations: list[Move]) -> str:
    return ", ".join(move[0] for move in operations)
