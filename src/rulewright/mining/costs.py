"""The table of costs: every number that decides which rule wins, with its unit and its reason.

A cost is in *points*: lower is better, and a rule that says in 130 characters what it does costs one
point for its length. What a rule asks for is in *bits* (`reading.bits`). A rule's price is the base
of its shape, its length, what it leaves open, and extras for what is known to go wrong elsewhere.
`tests/mining/test_costs.py` has for each number an edit that it decides, or the sign of its effect.

Limits that keep the search short (how many, how long) are beside the code that they limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# The price of a rule by its shape. Points.

BASE: Final[Mapping[str, float]] = {
    "pattern": 1.0,  # variables with code around them: the common form of a codemod
    "transform": 1.5,  # a part of a string or comment: holds for that text more than for its kind
    "lexical": 1.8,  # a short text as it stands: right, but it says nothing of others like it
    "delete": 2.0,  # what goes must be named well, since nothing of it is kept
    "insert": 2.2,  # only the neighbor says where
    "literal": 6.0,  # a long text as it stands: fits this place alone
    "sequence": 8.0,  # several statements, each with variables: smaller rules say it where they can
    "run": 8.0,  # several statements as they stand: fits this place alone, and is long
}
TOKEN: Final = 0.6
"""Points for one token that becomes another: nothing around it can go wrong."""
PER_40_CHARS: Final = 0.3
"""Points for every 40 characters that are read."""
PER_TEXT: Final = 4
"""Characters for each text of a rule beyond its own: a key and quotes."""
PER_CROWDED_VARIABLE: Final = 0.5
"""Points for each variable from the sixth on: nobody can follow so many."""
FEW_VARIABLES: Final = 5
"""Variables that cost nothing."""

# What a rule leaves open. Points for each bit below `ENOUGH_BITS`.

ENOUGH_BITS: Final = 10.0
"""Bits from which on a rule says what it is about: one name of its own."""
VAGUE: Final = 0.06
"""Points a bit."""
VAGUE_INSERT: Final = 0.4
"""Points a bit where nothing is taken away: then only the surroundings say where."""
VAGUE_TOKEN: Final = 0.08
"""Points a bit for a single token, which has no surroundings."""

# Extras of the operators. Points.

LEVEL: Final = 0.12
"""For each step from the smallest node around a change to a larger one."""
WRAPPED: Final = 0.3
"""For a pattern that needs a snippet around it, or a kind beside it."""
BY_REGEX: Final = 0.2
"""For a token by kind and regular expression where a pattern says the same."""
COPIED: Final = 1.5
"""For a fix that repeats words of what a variable stands for that it drops: it holds for this place."""
ALL_NAMES_OPEN: Final = 1.0
"""For names (callees, types, attributes) that became variables; from here on larger anchors are tried too."""
NO_LEAVES: Final = 0.3
"""For tokens that stay literal though they might vary."""
IMPORT_OPEN: Final = 2.0
"""For a variable in an import that goes: any import would go."""
OVER_NEIGHBOR: Final = 0.5
"""For a neighbor that the fix writes again, so that the gap changes too."""
SIBLING: Final = 4.0
"""For each statement of a sequence beyond the second: a rule for each of them says more."""
LINES_IN_TOKEN: Final = 0.4
"""For each part of a token that is replaced across lines: it depends on the wrapping."""
SAME_NAME: Final = -0.4
"""For one word in nodes of several kinds: one rule instead of one for each kind."""

# What is known once a candidate is seen in its place. Points, bits.

MOSTLY_REPLACED: Final = -0.6
"""For a specific expression that is mostly replaced: code around it would only narrow the rule."""
NO_CALL: Final = 1.0
"""For arguments without their call, which says what they mean."""
NO_NAME: Final = 2.0
"""For the module of an import without its names: others of its names may stay where they are."""
AROUND: Final = 1.5
"""For a pattern that only adds to a smaller one the code around it."""
TELLING_BITS: Final = 8.0
"""Bits from which on a rule needs nothing around it."""
TOKEN_READING: Final = 0.1
"""For the variant of an edit that is aligned by tokens, where the one by tree is as good."""

# What narrows a rule (`judge.refine`). Points.

VARIABLE_KIND: Final = 1.2
"""For the kind of a variable: the mildest demand, and often why the others were left alone."""
VARIABLE_TEXT: Final = 1.9
"""For the texts that a variable may be; each character costs more."""
PER_CHAR: Final = 0.02
"""For each character of a text that is asked for: a long one fits one place."""
PARENT_KIND: Final = 1.4
"""Directly in a node of this kind."""
PARENT_FIELD: Final = 1.5
"""Little more than the kind alone, since the field is part of how code is read."""
ANCESTOR_NAME: Final = 1.7
"""In a function, class or call of this name: narrow, but the user would say so."""
ANCESTOR_KIND: Final = 1.8
"""Somewhere in a node of this kind: it says little of why."""
NEIGHBOR_KIND_ASKED: Final = 2.0
"""Beside a node of this kind: seldom what the change is about."""
NEIGHBOR_TEXT: Final = 2.4
"""Beside this text: it holds for few places."""
NOT_INSIDE: Final = 2.2
"""Not within a kind: it says where the change was not made, not why."""

BY_CALL: Final = -0.6
"""For a called name by its call: the receiver and the arguments stay as they are written."""
CALLED: Final = 1.0
"""For a called name without its call: other things may have that name."""
STEP: Final = 2.0
"""For each rule after the first: several small rules beat one that spells out all that lies between."""

LAST_RESORT: Final = 50.0
"""For a plan with a literal rule or a run: only where no general rules make the change."""

OF_THIS_FILE: Final = 2.0
"""In a change by hand, for a rule that spells out a variable of its file: other files have others."""

SMALLER_REWRITE: Final = -0.1
"""For a form of a rule that rewrites less of what it matches (`propose.smaller_rewrites`)."""

# When to stop. Points.

GOOD: Final = 4.0
"""A rule for a hunk at this price: the hunk is not solved again."""
TELLING: Final = 1.6
"""A rule with variables for all hunks at this price: literal rules are not tried."""
SATISFIED: Final = 3.0
"""One general rule at this price: other variants of the edit are not tried."""
