"""Triples of A, B and X: how often X lies nearer to B, of another category, than to A, of its own."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Kind:
    """What is known of an item.

    Args:
        category: What A and X share and B does not, such as a word.
        speaker: Who says it.
        context: What all three share, such as the words around it.
    """

    category: str
    speaker: str
    context: Hashable = None


@dataclass(frozen=True)
class Errors:
    """Shares of triples that are wrong.

    Args:
        by_pair: For each category of A and X and each of B, the mean over speakers of the mean over contexts.
        by_speaker: For the speaker of A and B, the mean over pairs of categories, and over speakers of X where these are others.
        num_triples: That were asked about.
    """

    by_pair: dict[tuple[str, str], float]
    by_speaker: dict[str, float]
    num_triples: int

    @property
    def mean(self) -> float:
        """Over pairs of categories, each weighing alike."""
        return fmean(self.by_pair.values())


def triple_errors(distances: Float[Tensor, "items items"], kinds: Sequence[Kind], *, across: bool) -> Errors | None:
    """Asks about all triples that items make; equal distances are half an error.

    The share of errors is taken in each combination of two categories, speakers and a context, then averaged over contexts, then
    over speakers, then over ordered pairs of categories, so that what is frequent does not weigh more.

    Args:
        distances: Between all items of one context.
        kinds: Of the items.
        across: Whether X is said by another speaker than A and B; else all three are of one speaker.

    Returns:
        None where there is no such triple.

    Source:
        Schatz et al. 2013, "Evaluating speech features with the minimal-pair ABX task"; Kahn et al. 2020, arXiv:1912.07875.
    """
    found: dict[tuple[str, str], dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    num_triples = 0
    for pair, speakers, wrong, count in _cells(distances, kinds, across=across):
        found[pair][speakers].append(wrong)
        num_triples += count
    if not found:
        return None
    of_speakers: dict[str, list[float]] = defaultdict(list)
    by_pair = {}
    for pair, by_speakers in found.items():
        means = {speakers: fmean(values) for speakers, values in by_speakers.items()}
        by_pair[pair] = fmean(means.values())
        for (speaker, _), mean in means.items():
            of_speakers[speaker].append(mean)
    by_speaker = {speaker: fmean(means) for speaker, means in sorted(of_speakers.items())}
    return Errors(by_pair, by_speaker, num_triples)


def _cells(
    distances: Float[Tensor, "items items"], kinds: Sequence[Kind], *, across: bool
) -> Iterator[tuple[tuple[str, str], tuple[str, str], float, int]]:
    """For each pair of categories, speakers of A and B and of X, and context: the share of errors and the number of triples."""
    places: dict[Hashable, dict[str, dict[str, list[int]]]] = defaultdict(lambda: defaultdict(dict))
    for place, kind in enumerate(kinds):
        places[kind.context][kind.speaker].setdefault(kind.category, []).append(place)
    for by_speaker in places.values():
        pairs = permutations(by_speaker, 2) if across else ((speaker, speaker) for speaker in by_speaker)
        for speaker, of_x in pairs:
            for a, b in permutations(by_speaker[speaker], 2):
                xs = by_speaker[of_x].get(a, [])
                near, far = by_speaker[speaker][a], by_speaker[speaker][b]
                count = len(near) * len(xs) - (0 if across else len(xs))
                if count:
                    wrong = _wrong(distances[near][:, xs], distances[far][:, xs], same=not across)
                    yield (a, b), (speaker, of_x), wrong / (count * len(far)), count * len(far)


def _wrong(to_a: Float[Tensor, "as xs"], to_b: Float[Tensor, "bs xs"], *, same: bool) -> float:
    """Errors over all triples; where A and X are the same items, none is A and X at once."""
    own, other = to_a[:, None], to_b[None]
    errors = (own > other).double() + 0.5 * (own == other).double()
    if same:
        errors = errors * ~torch.eye(len(to_a), dtype=torch.bool)[:, None]
    return float(errors.sum())
