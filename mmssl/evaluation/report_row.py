"""One measured number together with everything needed to trust and to repeat it."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReportRow:
    """A score and its protocol.

    Args:
        run: Name of the run, or of the command for a single evaluation.
        dataset: Name of the manifest.
        split: Split that was scored, such as `test`; `all` where there is one.
        encoder: Reference of the encoder, or the name of a baseline (`chance`, `identity`).
        evaluation: Name in `EVALUATIONS`.
        metric: Such as `top1@k=20` or `J&F`.
        value: The score; None where it is not defined (`detail` says why).
        num_items: Items the score is over.
        seed: Seed of the evaluation.
        protocol: One sentence, enough to repeat it.
        recipe_digest: Digest of the recipe and its overrides; empty for a single evaluation.
        code_version: Version of this package.
        baseline: Whether the row is a baseline that stands beside a score.
        detail: Further facts, such as values per sequence.
        is_score: Whether a higher value speaks for the encoder; what merely describes a picture of it is not ranked.
    """

    run: str
    dataset: str
    split: str
    encoder: str
    evaluation: str
    metric: str
    value: float | None
    num_items: int
    seed: int
    protocol: str
    recipe_digest: str
    code_version: str
    baseline: bool = False
    detail: dict[str, Any] = field(default_factory=dict)
    is_score: bool = True

    def to_json(self) -> dict[str, Any]:
        """The row as plain JSON values."""
        return asdict(self)
