"""Errors that a user can act on."""


class InputError(Exception):
    """Bad input, told in one line: where, what, and what to do about it.

    Parameters
    ----------
    place
        The file and the place in it: ``"sites.bed:12"``, ``"genome.fa, record 'chr1'"``, ``"config: tasks.m6a.k"``.
    problem
        What is wrong there.
    remedy
        What the user can do.
    """

    def __init__(self, place: object, problem: str, remedy: str) -> None:
        self.place, self.problem, self.remedy = str(place), problem, remedy
        super().__init__(" ".join(f"{place}: {problem}; {remedy}".split()))
