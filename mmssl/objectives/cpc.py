"""Contrastive predictive coding: what will be heard some steps later is told from what is heard elsewhere."""

from typing import Any, ClassVar, Literal

import torch

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.models.cpc_encoder import CPCEncoder
from mmssl.models.encoder import Encoder
from mmssl.objectives.objective import Batch, Objective, Output
from mmssl.objectives.predictive_coding import StepPredictors, contrast


class CPC(Objective):
    """Predicts later codes of a window of sound from its context, a linear predictor for each number of steps ahead.

    Args:
        encoder: A `cpc_encoder`.
        num_steps: How many steps of 10 ms ahead the furthest prediction is for.
        num_negatives: Of each code.
        negatives: Where they come from, each code of which is as likely: the same `window`; windows of the same `group` in the
            batch, such as a speaker's; the whole `batch`, that of all processes.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "sound"}
    numbers = "steps of 10 ms ahead"
    source = "van den Oord et al. 2018, arXiv:1807.03748"

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_steps: int = 12,
        num_negatives: int = 128,
        negatives: Literal["window", "group", "batch"] = "window",
    ) -> None:
        if not isinstance(encoder, CPCEncoder):
            raise ConfigError(f"cpc trains a cpc_encoder, not {type(encoder).__name__}; set encoder: cpc_encoder")
        if num_steps < 1 or num_negatives < 1:
            raise ConfigError(f"num_steps {num_steps} and num_negatives {num_negatives} must be at least 1")
        super().__init__(encoder)
        self.num_steps = num_steps
        self.num_negatives = num_negatives
        self.negatives = negatives
        self.looks_across_batch = negatives != "window"
        self.needs_groups = negatives == "group"
        self.predictors = StepPredictors(encoder.context_dim, encoder.code_dim, num_steps=num_steps)

    @property
    def guesses(self) -> dict[str, float]:
        """The same for each number of steps: one of a code and its negatives."""
        return {"accuracy_1": 1 / (1 + self.num_negatives)}

    def forward(self, batch: Batch) -> Output:
        """The loss of `sound`, whose negatives are drawn by the numbers of `draw`; what comes later is that of `later`, if given.

        Returns:
            Also `accuracy_1` and so on, by steps ahead: the share of predictions that find their code among its negatives.

        Raises:
            ConfigError: If windows are too short to predict anything.
        """
        sound, network = batch["sound"], self.encoder
        assert isinstance(network, CPCEncoder)
        codes = network.codes(sound)
        num_times = codes.shape[1]
        if num_times <= self.num_steps:
            raise ConfigError(
                f"windows of {num_times} codes are too short to predict {self.num_steps} steps ahead; decode longer windows or "
                "lower num_steps"
            )
        predictions = self.predictors(network.contexts(codes))
        lengths = network.num_heard_cells(sound, num_times)
        if "later" in batch:
            codes = network.codes(batch["later"])
        groups = None
        if self.looks_across_batch:
            groups = batch["groups"] if self.needs_groups else torch.zeros_like(lengths)
        draws = ItemRandom(0, 0, batch["draw"].tolist()).uniform("negatives", (num_times, self.num_negatives))
        return contrast(
            predictions,
            codes,
            lengths=lengths,
            groups=groups,
            uniform=draws,
            across_processes=self.looks_across_batch,
        )
