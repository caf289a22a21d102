"""The Towers of Hanoi: the board and its rules, and the compact text for them."""
