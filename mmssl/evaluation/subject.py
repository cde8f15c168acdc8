"""What an evaluation is given: an encoder, the data, and where results go."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import mmssl
from mmssl.data.dataset import ClipSource
from mmssl.data.manifest import Manifest
from mmssl.errors import EvaluationError
from mmssl.evaluation.report_row import ReportRow
from mmssl.models.loading import LoadedEncoder
from mmssl.retrieval.embeddings import EmbeddingTable, embed_clips
from mmssl.retrieval.over_time import IN_WORDS, OverTime


@dataclass(frozen=True)
class Subject:
    """One encoder before one data set.

    Args:
        encoder: The encoder that is scored.
        dataset: How rows name the data.
        manifest: Rows of media files, for evaluations that read them.
        clips: Decoded clips, for evaluations that embed them.
        name: How rows name the encoder; its reference where empty.
        run: Name of the run, or of the command.
        recipe_digest: Of the recipe and its overrides; empty for a single evaluation.
        seed: Of the evaluation.
        out: Folder for pictures and videos; None where nobody wants them.
        tables: Embeddings that are there already.
        device: Where the encoder runs.
        baseline: Whether the encoder stands beside the scored ones for comparison.
    """

    encoder: LoadedEncoder
    dataset: str
    manifest: Manifest | None = None
    clips: ClipSource | None = None
    name: str = ""
    run: str = "evaluate"
    recipe_digest: str = ""
    seed: int = 0
    out: Path | None = None
    tables: tuple[EmbeddingTable, ...] = ()
    device: torch.device | str = "cpu"
    baseline: bool = False

    def embeddings(self, over_time: OverTime = "mean") -> EmbeddingTable:
        """Embeddings of the clips: a table that is there for this encoder and these clips, else computed, once.

        Args:
            over_time: What they keep of a clip's frames, see `retrieval.over_time`.

        Raises:
            EvaluationError: If there are neither clips nor a table of this encoder.
        """
        if over_time not in self._embedded:
            self._embedded[over_time] = self._embed(over_time)
        return self._embedded[over_time]

    @cached_property
    def _embedded(self) -> dict[str, EmbeddingTable]:
        return {}

    def clip_in_words(self, over_time: str = "mean") -> str:
        """How a protocol says what a clip's embedding is made of."""
        kept = self.encoder.encoder.clip_is if over_time == "mean" else IN_WORDS[over_time]
        return f"a clip's embedding is {kept}"

    def _embed(self, over_time: OverTime) -> EmbeddingTable:
        for table in self.tables:
            same_clips = self.clips is None or table.source_digest == self.clips.digest
            if table.encoder_digest == self.encoder.digest and table.over_time == over_time and same_clips:
                return table
        if self.clips is None:
            raise EvaluationError(
                f"{self.encoder.reference}: there are no clips to embed and no table of its embeddings that keeps "
                f"{over_time} of the frames; give `clips`"
            )
        return embed_clips(self.encoder, self.clips, keep=over_time, device=self.device)

    def row(
        self,
        evaluation: str,
        metric: str,
        value: float | None,
        *,
        split: str,
        num_items: int,
        protocol: str,
        encoder: str | None = None,
        detail: Mapping[str, Any] | None = None,
        is_score: bool = True,
    ) -> ReportRow:
        """A report row about this subject.

        Args:
            evaluation: Name in `EVALUATIONS`.
            metric: See `ReportRow`, like all that follow.
            value: None where the metric is not defined.
            split: The split that was scored.
            num_items: Items the value is over.
            protocol: One sentence.
            encoder: Name of a baseline that the evaluation itself computed, such as `chance`; None for the encoder.
            detail: Further facts.
            is_score: Whether a higher value speaks for the encoder.
        """
        return ReportRow(
            run=self.run,
            dataset=self.dataset,
            split=split,
            encoder=encoder or self.name or self.encoder.reference,
            evaluation=evaluation,
            metric=metric,
            value=value,
            num_items=num_items,
            seed=self.seed,
            protocol=protocol,
            recipe_digest=self.recipe_digest,
            code_version=mmssl.__version__,
            baseline=self.baseline or encoder is not None,
            detail=dict(detail or {}),
            is_score=is_score,
        )
