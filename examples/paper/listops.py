"""ListOps: nested operations on lists of digits, whose value is to be told; a generator of our own.

    expression := digit | operator argument ... argument "]"       argument := expression
    digit      := "0" | ... | "9"
    operator   := "[MAX" | "[MIN" | "[MED" | "[SM"

An operator has two to five arguments: MAX and MIN are their extremes, MED is their median, rounded down, and SM their
sum modulo 10. The outermost expression is an operator; below, half of the arguments are digits, and all of them where
six operators are open. Expressions are drawn again until they have 50 to 200 tokens. Every token is an observation
of 15 channels, of which one is 1 and the others are 0.
"""

from random import Random
from statistics import median

import numpy as np

from sklearn_hippo import Panel

OPERATORS = {"[MAX": max, "[MIN": min, "[MED": lambda x: int(median(x)), "[SM": lambda x: sum(x) % 10}
TOKENS = (*map(str, range(10)), *OPERATORS, "]")
SHORTEST, LONGEST, DEPTH, ARGUMENTS = 50, 200, 6, (2, 5)


def expression(random, depth=0):
    """Tokens and value of a random expression."""
    if depth == DEPTH or (depth and random.random() < 0.5):
        digit = random.randrange(10)
        return [str(digit)], digit
    operator = random.choice(list(OPERATORS))
    parts = [expression(random, depth + 1) for _ in range(random.randint(*ARGUMENTS))]
    tokens = [operator, *(token for part, _ in parts for token in part), "]"]
    return tokens, OPERATORS[operator]([value for _, value in parts])


def listops(n_series, seed):
    """Expressions as series, and their values: the same ones for a seed."""
    random = Random(seed)
    series, values = [], []
    while len(series) < n_series:
        tokens, value = expression(random)
        if SHORTEST <= len(tokens) <= LONGEST:
            series.append(tokens)
            values.append(value)
    codes = [TOKENS.index(token) for tokens in series for token in tokens]
    offsets = np.cumsum([0, *map(len, series)])
    return Panel(np.eye(len(TOKENS), dtype=np.float32)[codes], None, offsets), np.array(values)
